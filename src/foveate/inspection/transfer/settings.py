"""What `foveate transfer` is asked: where to, and how."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from foveate.errors import RequestError, unknown_name
from foveate.records.labels import BASELINE
from foveate.studies.spec.candidate import Candidate
from foveate.training.recipe import Recipe, make_recipe, read_recipe

__all__ = ["WAYS", "TransferSettings"]

WAYS = ("direct", "probe", "finetune")
FINE_TUNING = {"epochs": 10, "learning_rate": 0.02}
"""What of the default recipe is other when a trained network is where it starts."""


@dataclass(frozen=True)
class TransferSettings:
    """What is carried over to where, and how.

    Attributes:
        to: the target: a folder, a hub name or "digits".
        how: some of `WAYS`; empty: "direct" where classes have a match, and "probe".
        classes: a file that says which class of the target is which of the source; None: by name.
        attach: mechanisms that are put into plain networks before these are fine-tuned.
        recipe: of the fine-tuning, a name or a path; None: the default one with the changes of `FINE_TUNING`.
        changes: recipe keys that are other, such as epochs.
        images: at most so many test images, spread over the classes.
        train_fraction: share of the target's training part that probes and fine-tuning learn from.
        seeds: how many times a network that has no seed of its own is fine-tuned.
        batch_size: of evaluation.
        image_column: of a table with several columns of images.
        label_column: of a table with several columns of labels.
    """

    to: str
    how: tuple[str, ...] = ()
    classes: Path | None = None
    attach: tuple[Candidate, ...] = ()
    recipe: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    images: int | None = None
    train_fraction: float = 1.0
    seeds: int = 1
    batch_size: int = 256
    image_column: str | None = None
    label_column: str | None = None

    def check(self) -> None:
        """Raise RequestError for a value that cannot be, naming it and the choices."""
        for way in self.how:
            if way not in WAYS:
                raise RequestError(unknown_name("way to carry over", way, WAYS))
        for name in ("images", "seeds", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RequestError(f"--{name.replace('_', '-')} must be 1 or more, got {value}")
        if not 0 < self.train_fraction <= 1:
            raise RequestError(f"--train-fraction must lie in (0, 1], got {self.train_fraction}")
        if self.attach and "finetune" not in self.how:
            raise RequestError("--attach is for fine-tuning: give --how finetune too")
        if any(one.name == BASELINE for one in self.attach):
            raise RequestError("--attach names mechanisms: the plain network is fine-tuned in any case")
        if self.classes is not None and self.how and "direct" not in self.how:
            raise RequestError("--classes is for testing directly: give --how direct too, or leave it out")
        if "finetune" in self.how:
            self.read_recipe()

    def read_recipe(self) -> Recipe:
        """The recipe of the fine-tuning; RequestError for keys and values that cannot be."""
        base = read_recipe(self.recipe or "default") | ({} if self.recipe else FINE_TUNING)
        return make_recipe(base | dict(self.changes), f"recipe {self.recipe or 'default'}")

    def described(self) -> dict[str, Any]:
        """The settings as plain values, for the record."""
        said = asdict(self) | {"attach": [one.label for one in self.attach], "how": list(self.how)}
        said |= {
            "classes": None if self.classes is None else str(self.classes),
            "changes": dict(self.changes),
        }
        if "finetune" in self.how:
            said["recipe"] = self.read_recipe().model_dump(mode="json")
        return said
