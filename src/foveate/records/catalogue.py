"""The record that `foveate list --json` writes: every mechanism with its options and costs."""

from foveate.records.base import Count, Json, Number, Record, Text

__all__ = ["Catalogue", "ListedMechanism"]


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


class Catalogue(Record):
    """All mechanisms, and the network that they are added to, with its parameters and multiply-adds."""

    backbone: Text
    image_size: Count
    parameters: Count
    macs: Count
    mechanisms: tuple[ListedMechanism, ...]
