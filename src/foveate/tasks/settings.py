"""What a task takes from the recipe of a training."""

from dataclasses import dataclass

__all__ = ["TaskSettings"]


@dataclass(frozen=True)
class TaskSettings:
    """The keys of a recipe that a task uses; `foveate.training.recipe_keys` explains them."""

    augmentation: tuple[str, ...] = ()
    label_smoothing: float = 0.0
    channels_last: bool = False
    loss: str = "cross_entropy"
    class_weights: str = "none"
