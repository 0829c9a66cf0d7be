"""Explain detectors and segmenters: maps for an object that is annotated in each test image."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from foveate.evaluation.attention_scores import tolerance_of
from foveate.inspection.explain.built import BuiltNetwork
from foveate.inspection.explain.dense.detection import DetectedObjects
from foveate.inspection.explain.dense.grid import DenseColumn, draw_dense_grid
from foveate.inspection.explain.dense.objects import ObjectTask
from foveate.inspection.explain.dense.segmentation import SegmentedObjects
from foveate.inspection.explain.dense.subjects import find_dense_subjects
from foveate.inspection.explain.explained import MapScores
from foveate.inspection.explain.pictures import draw_own_maps
from foveate.inspection.explain.scores import Values, score_objects, summarise_objects
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained
from foveate.records.examination import PictureRecord
from foveate.records.explain import ExplainData, ExplainKey, ExplainSettingsRecord
from foveate.records.metric import DETECTION

__all__ = ["DenseImages"]

DEFINITIONS = 1
"""The version of the choice of objects and of the scores: rows of another version are measured again."""


class DenseImages:
    """The images of a request to explain detection or segmentation; see `Explained`.

    Scores that need the answer for a whole image (both consistencies, and ROAD) do not exist.
    """

    def __init__(self, trained: Sequence[Trained], settings: ExplainSettings, others: OtherImages) -> None:
        """Find the images and their objects, or raise RequestError."""
        is_detection = trained[0].task == DETECTION.name
        self.task: ObjectTask = DetectedObjects() if is_detection else SegmentedObjects()
        self.settings, self.method = settings, settings.method or self.task.method
        self.subjects = find_dense_subjects(trained, self.task, settings, others)
        self.excluded: list[str] = []
        self.warnings: list[str] = []
        self.drawn = self.subjects.sample(settings.show)
        self.columns: list[DenseColumn] = []
        image, _ = self.subjects.load(0, self.task)
        self.example = self.task.padded(image)

    def __len__(self) -> int:
        return len(self.subjects)

    def describe_settings(self) -> ExplainSettingsRecord:
        """Return the settings as the record has them."""
        return ExplainSettingsRecord(
            method=self.method,
            layer=self.settings.layer,
            road_images=0,
            road_shares=(),
            views=(),
            pointing_tolerance=tolerance_of(*self.subjects.typical),
            batch_size=1,
            task=self.task.name,
        )

    def describe_data(self) -> ExplainData:
        """Return the images as the record has them."""
        return ExplainData(
            about=self.subjects.about,
            fingerprint=self.subjects.fingerprint,
            images=len(self),
            with_object=len(self),
            left_out=0,
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
            road=0,
            batch_size=1,
            definitions=DEFINITIONS,
        )

    def score(self, built: BuiltNetwork, on_progress: Callable[[int], None]) -> MapScores:
        """Score the maps of a network, image by image; objects that it does not find have no map."""
        values: Values = defaultdict(list)
        energy: Values = defaultdict(list)
        found = 0
        for number in range(len(self)):
            image, known = self.subjects.load(number, self.task)
            finding = self.task.explain(built, image, known, self.method)
            score_objects(values, energy, finding.map[None], known.inside[None])
            found += finding.found
            on_progress(number + 1)
        is_detection = self.task.name == DETECTION.name
        return MapScores(summarise_objects(values, energy), found if is_detection else None)

    def add_column(self, built: BuiltNetwork) -> None:
        """Make the maps and the answers that the grid shows."""
        findings = []
        for number in self.drawn:
            image, known = self.subjects.load(int(number), self.task)
            findings.append(self.task.explain(built, image, known, self.method))
        self.columns.append(DenseColumn(built.trained.label, findings))

    def draw_own_maps(self, folder: Path, built: BuiltNetwork) -> PictureRecord | None:
        """Draw the maps of the attention of a network for one image, padded as the network gets it."""
        image, _ = self.subjects.load(int(self.drawn[0]), self.task)
        seen = self.task.seen(built, image)
        return draw_own_maps(folder, built, seen.prepared, seen.picture)

    def draw_grid(self, folder: Path) -> PictureRecord | None:
        """Draw two rows for each image: what is there and what is answered, and the maps."""
        if not self.columns:
            return None
        shown = [self.subjects.load(int(number), self.task) for number in self.drawn]
        return draw_dense_grid(folder, self.columns, self.task, shown, self.subjects.classes)
