"""The record that `foveate sites --json` writes: where attention can go in a network."""

from typing import Literal

from foveate.records.base import Count, Record, Text

__all__ = ["ListedSite", "SiteList"]


class ListedSite(Record):
    """One place.

    Attributes:
        name: of the block or the stage; of any other module, its path.
        path: of the module whose map it is.
        position: whether attention goes after that module or before it.
        place: "block", "stage", or "module" for a module of a network whose blocks are not known.
        stage: counted from 1; None for a "module".
    """

    name: Text
    path: Text
    position: Literal["after", "before"]
    place: Literal["block", "stage", "module"]
    stage: Count | None
    channels: Count
    height: Count
    width: Count


class SiteList(Record):
    """All places of a network for images of one size, in the order in which they run."""

    backbone: Text
    image_size: Count
    sites: tuple[ListedSite, ...]
