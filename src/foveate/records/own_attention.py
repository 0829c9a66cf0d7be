"""The attention that the backbone of a study or a profile has of its own, and what became of it."""

from typing import Annotated

from pydantic import Field

from foveate.notation import count, listing
from foveate.records.base import Count, Record, Switch, Text

__all__ = ["OwnAttentionRecord"]


class OwnAttentionRecord(Record):
    """What kinds of attention a backbone has of its own, in how many blocks, and whether it was replaced."""

    backbone: Text
    kinds: Annotated[tuple[Text, ...], Field(min_length=1)]
    blocks: Count
    replaced: Switch

    @property
    def sentence(self) -> str:
        """Say what mechanisms are compared with, and how that is changed."""
        has = f"{listing(list(self.kinds))} of its own in {count(self.blocks, 'block')}"
        if self.replaced:
            return (
                f"{self.backbone} has {has}, which is replaced: the baseline is without it, and mechanisms "
                "are in its place."
            )
        return (
            f"{self.backbone} has {has}; mechanisms are added on top of it; --replace-own puts them in its "
            "place."
        )
