"""What a task takes from a recipe."""

from foveate.tasks import TaskSettings
from foveate.training.recipe import Recipe

__all__ = ["task_settings"]


def task_settings(recipe: Recipe) -> TaskSettings:
    """Return the keys of `recipe` that its task uses."""
    return TaskSettings(
        augmentation=recipe.augmentation,
        label_smoothing=recipe.label_smoothing,
        channels_last=recipe.channels_last,
        loss=recipe.loss,
        class_weights=recipe.class_weights,
    )
