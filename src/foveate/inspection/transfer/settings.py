"""The settings of `foveate transfer`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.studies.spec import completers
from foveate.studies.spec.flag_groups import IMAGES, RECIPE, TRANSFER

if TYPE_CHECKING:
    from foveate.studies.spec.candidate import Candidate
    from foveate.training.recipe import Recipe

__all__ = ["WAYS", "TransferSettings"]

WAYS = ("direct", "probe", "finetune")
FINE_TUNING = {"epochs": 10, "learning_rate": 0.02}
"""Keys in which fine-tuning differs from the default recipe."""


@dataclass(frozen=True, kw_only=True)
class TransferSettings:
    """To which images networks are transferred, and how.

    Attributes:
        to: Other set of images: digits (embedded), a folder, or a hub name.
        how: How the networks are transferred, separated by commas: direct (test as they are), probe (train a
            linear layer on their features), finetune; by default direct, where classes match, and probe.
        classes: YAML file that maps the classes of the other set to the networks' own classes; by default
            they are matched by name.
        attach: Mechanisms to attach to the baseline networks before they are fine-tuned: se,dmsca; by
            default none.
        recipe: Recipe of fine-tuning, by its name or as a YAML file; by default the default recipe with a
            smaller learning rate.
        epochs: Number of epochs of fine-tuning; with --recipe, by default those of that recipe.
        set: Any key of the recipe of fine-tuning, as KEY=VALUE; repeat it for further keys. By default all
            are the recipe's.
        limit: Largest number of images, spread over the classes; by default all.
        train_fraction: Share of the other set's training images that probes and fine-tuning learn from.
        seeds: Number of fine-tuning runs of a network that has no seed of its own.
        batch_size: Images per forward pass.
        image_column: Column of the images of --to, for a parquet, hub or CSV data set with several; by
            default the only one.
        label_column: Column of the labels of --to, for a parquet, hub or CSV data set with several; by
            default the only one, or the one with a usual name.
    """

    to: Annotated[str, Parameter(group=IMAGES, completer=completers.data_sets)]
    how: Annotated[
        tuple[str, ...],
        Parameter(group=TRANSFER, show_default=False, completer=completers.several_of(WAYS)),
    ] = ()
    classes: Annotated[Path | None, Parameter(group=TRANSFER)] = None
    attach: Annotated[str | None, Parameter(group=TRANSFER, completer=completers.mechanisms)] = None
    recipe: Annotated[str | None, Parameter(group=RECIPE, completer=completers.recipes)] = None
    epochs: Annotated[int | None, Parameter(group=RECIPE, show_default=str(FINE_TUNING["epochs"]))] = None
    set: Annotated[
        list[str], Parameter(group=RECIPE, show_default=False, completer=completers.recipe_keys)
    ] = field(default_factory=list)
    limit: Annotated[int | None, Parameter(group=IMAGES)] = None
    train_fraction: Annotated[float, Parameter(group=IMAGES)] = 1.0
    seeds: Annotated[int, Parameter(group=TRANSFER)] = 1
    batch_size: Annotated[int, Parameter(parse=False)] = 256
    image_column: Annotated[str | None, Parameter(group=IMAGES)] = None
    label_column: Annotated[str | None, Parameter(group=IMAGES)] = None

    @property
    def mechanisms(self) -> tuple["Candidate", ...]:
        """The mechanisms to attach; RequestError for a name that is not known."""
        from foveate.studies.spec.candidate import parse_candidates

        return parse_candidates(self.attach) if self.attach else ()

    @property
    def changes(self) -> dict[str, Any]:
        """The keys of the recipe that are given."""
        from foveate.training.recipe import parse_setting

        changes = dict(parse_setting(text) for text in self.set)
        return changes if self.epochs is None else changes | {"epochs": self.epochs}

    def check(self) -> None:
        """Raise RequestError for a value that cannot be used, naming it and the choices."""
        from foveate.records.study import BASELINE

        for way in self.how:
            if way not in WAYS:
                raise RequestError(unknown_name("way to transfer", way, WAYS))
        check_at_least(self, epochs=1, limit=1, seeds=1, batch_size=1)
        if not 0 < self.train_fraction <= 1:
            raise RequestError(f"--train-fraction must lie in (0, 1], got {self.train_fraction}")
        if self.attach and "finetune" not in self.how:
            raise RequestError("--attach is for fine-tuning: give --how finetune too")
        if any(one.name == BASELINE for one in self.mechanisms):
            raise RequestError("--attach names mechanisms: the baseline is fine-tuned in any case")
        if self.classes is not None and self.how and "direct" not in self.how:
            raise RequestError("--classes is for testing directly: give --how direct too, or omit it")
        self.read_recipe()  # also where nothing is fine-tuned: the record has its keys

    def read_recipe(self) -> "Recipe":
        """Return the recipe of fine-tuning.

        Raises:
            RequestError: an unknown key, or a value that its key cannot take.
        """
        from foveate.training.recipe import make_recipe, read_recipe

        base = read_recipe(self.recipe or "default") | ({} if self.recipe else FINE_TUNING)
        return make_recipe(base | self.changes, f"recipe {self.recipe or 'default'}")
