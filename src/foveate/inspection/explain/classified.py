"""Explain networks that classify: maps for the class that a network answers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from foveate.evaluation.attention_scores import VIEWS, tolerance_of
from foveate.evaluation.road import SHARES
from foveate.inspection.explain.built import BuiltNetwork
from foveate.inspection.explain.explained import MapScores
from foveate.inspection.explain.pictures import GridColumn, draw_grid, draw_own_maps, make_column
from foveate.inspection.explain.scores import score_maps
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.explain.subjects import find_subjects
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, assumed_order
from foveate.records.examination import PictureRecord
from foveate.records.explain import ExplainData, ExplainKey, ExplainSettingsRecord

__all__ = ["ClassifiedImages"]

METHOD = "gradcam++"
DEFINITIONS = 2
"""The version of the definitions of the scores: rows of another version are measured again."""


class ClassifiedImages:
    """The images of a request to explain classification; see `Explained`."""

    def __init__(self, trained: Sequence[Trained], settings: ExplainSettings, others: OtherImages) -> None:
        """Find the images, or raise RequestError."""
        self.settings, self.method = settings, settings.method or METHOD
        self.subjects = subjects = find_subjects(trained, settings, others)
        self.example = subjects.images(np.array([0]))
        self.excluded = subjects.left_out
        found = (assumed_order(trained, subjects.classes), subjects.regions.describe())
        self.warnings = [sentence for sentence in found if sentence]
        self.drawn = subjects.sample(settings.show)
        self.columns: list[GridColumn] = []

    def __len__(self) -> int:
        return len(self.subjects)

    def describe_settings(self) -> ExplainSettingsRecord:
        """Return the settings as the record has them."""
        return ExplainSettingsRecord(
            method=self.method,
            layer=self.settings.layer,
            road_images=min(self.settings.road, len(self)),
            road_shares=SHARES,
            views=tuple(view.name for view in VIEWS),
            pointing_tolerance=tolerance_of(self.subjects.image_size, self.subjects.image_size),
            batch_size=self.settings.batch_size,
        )

    def describe_data(self) -> ExplainData:
        """Return the images as the record has them."""
        subjects = self.subjects
        return ExplainData(
            about=subjects.about,
            fingerprint=subjects.fingerprint,
            images=len(subjects),
            with_object=sum(name in subjects.regions for name in subjects.names),
            left_out=len(subjects.left_out),
        )

    def key(self, built: BuiltNetwork) -> ExplainKey:
        """Return all that decides the scores of a network."""
        return ExplainKey(
            digest=built.trained.digest,
            name=built.trained.name,
            backbone=built.trained.backbone,
            method=self.method,
            layer=built.layer,
            images=self.subjects.fingerprint,
            limit=self.settings.limit,
            road=self.settings.road,
            batch_size=self.settings.batch_size,
            definitions=DEFINITIONS,
        )

    def score(self, built: BuiltNetwork, on_progress: Callable[[int], None]) -> MapScores:
        """Score the maps of a network."""
        return MapScores(score_maps(built, self.subjects, self.method, self.settings, on_progress))

    def add_column(self, built: BuiltNetwork) -> None:
        """Make the maps and the answers that the grid shows."""
        self.columns.append(
            make_column(built, self.subjects, self.drawn, self.method, self.settings.batch_size)
        )

    def draw_own_maps(self, folder: Path, built: BuiltNetwork) -> PictureRecord | None:
        """Draw the maps of the attention of a network for one image."""
        images = self.subjects.images(self.drawn[:1])
        return draw_own_maps(folder, built, built.prepare(images), images[0])

    def draw_grid(self, folder: Path) -> PictureRecord | None:
        """Draw the images in rows and the networks in columns."""
        return draw_grid(folder, self.columns, self.subjects, self.drawn) if self.columns else None
