"""The record that `foveate list --json` writes: every mechanism with its options and costs."""

from pydantic import field_validator

from foveate.known_names import MECHANISMS_TABLE
from foveate.records.base import Count, Json, Number, Record, Text

__all__ = ["Catalogue", "ListedMechanism", "read_catalogue"]


class ListedMechanism(Record):
    """One mechanism.

    Attributes:
        name: the name that `--attention` takes.
        paper: its source.
        where: its default place, "block" or "stage".
        stages: its default stages, counted from 1; None is all of them.
        options: the options of its constructor with their defaults.
    """

    name: Text
    paper: Text
    where: Text
    stages: tuple[Count, ...] | None
    options: dict[Text, Json | tuple[Json, ...]]
    parameters_added: Count
    parameters_increase_percent: Number
    macs_added: Count
    macs_increase_percent: Number

    @field_validator("options")
    @classmethod
    def _tuples(cls, options: dict[str, Json | tuple[Json, ...]]) -> dict[str, Json | tuple[Json, ...]]:
        return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


class Catalogue(Record):
    """All mechanisms, and the network that they are added to, with its parameters and multiply-adds."""

    backbone: Text
    image_size: Count
    parameters: Count
    macs: Count
    mechanisms: tuple[ListedMechanism, ...]


def read_catalogue() -> Catalogue:
    """Return the catalogue of all mechanisms, as the table that comes with foveate has it."""
    return Catalogue.model_validate_json(MECHANISMS_TABLE.read_text(encoding="utf-8"))
