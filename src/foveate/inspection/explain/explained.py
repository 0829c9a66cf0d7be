"""What the engine of `foveate explain` needs of a task: images, scores of the maps on them, and pictures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from foveate.inspection.explain.built import BuiltNetwork
from foveate.records.examination import PictureRecord
from foveate.records.explain import ExplainData, ExplainKey, ExplainSettingsRecord, MapScore

__all__ = ["Explained", "MapScores"]


@dataclass(frozen=True)
class MapScores:
    """The scores of one network's maps by name; `found` is the number of objects that it detects, if it does.

    Scores that need what a task does not have are absent.
    """

    scores: Mapping[str, MapScore]
    found: int | None = None


class Explained(Protocol):
    """The images of a request, and how networks are scored and drawn on them.

    Attributes:
        example: an image (1, C, h, w) in 0..1, to find the layer by.
        excluded: what was excluded, in sentences.
        warnings: what a reader must know, in sentences.
    """

    example: Tensor
    excluded: list[str]
    warnings: list[str]

    def __len__(self) -> int:
        """Return the number of images that are scored."""

    def describe_settings(self) -> ExplainSettingsRecord:
        """Return the settings as the record has them."""

    def describe_data(self) -> ExplainData:
        """Return the images as the record has them."""

    def key(self, built: BuiltNetwork) -> ExplainKey:
        """Return all that decides the scores of a network."""

    def score(self, built: BuiltNetwork, on_progress: Callable[[int], None]) -> MapScores:
        """Score the maps of a network; `on_progress` is called with the number of images that are done."""

    def add_column(self, built: BuiltNetwork) -> None:
        """Make what the grid shows of a network."""

    def draw_own_maps(self, folder: Path, built: BuiltNetwork) -> PictureRecord | None:
        """Draw the maps of the attention of a network; None where it has none."""

    def draw_grid(self, folder: Path) -> PictureRecord | None:
        """Draw what the networks of `add_column` look at, side by side; None without any."""
