"""study.json, and all records in the folder of a study."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from foveate.errors import RequestError, WorkError
from foveate.records.base import Count, FolderName, Json, Number, Record, Share, Switch, Text, refusal
from foveate.records.cost import CostRecord
from foveate.records.dense import DenseRecord
from foveate.records.design import Design
from foveate.records.environment import Environment
from foveate.records.file_names import COST, RESULT, RUNS, STUDY
from foveate.records.files import read_record
from foveate.records.labels import BASELINE, display_name, name_in_sentence
from foveate.records.margin import MARGIN_POINTS
from foveate.records.metric import CLASSIFICATION, Metric, TaskRecord
from foveate.records.own_attention import OwnAttentionRecord
from foveate.records.read_run import read_run
from foveate.records.run import RunRecord
from foveate.records.sequential import LooksByHand, SequentialPlan
from foveate.records.start import Start
from foveate.records.tuning import Tuning

__all__ = [
    "CustomSource",
    "FailedRun",
    "PlannedRun",
    "Population",
    "Statistics",
    "StudyData",
    "StudyDescription",
    "StudyRecord",
    "StudyRecords",
    "check_study_folder",
    "read_study",
]


Population = Literal["new-images", "these-images"]
"""What a verdict speaks of: new seeds on new images of the kind of the test part, or on its very images."""
POPULATION: Population = "new-images"
"""The cautious one."""


class PlannedRun(Record):
    """One run of a study; its id names its folder."""

    id: FolderName
    attention: Text
    seed: Count


class FailedRun(PlannedRun):
    """A run that failed, and its error."""

    error: Text


class StudyData(Record):
    """The images of a study.

    `content_fingerprint` is present only if `fingerprint` is of names and sizes, as in foveate 0.1.0.
    """

    source: Text
    name: Text
    classes: Annotated[tuple[Text, ...], Field(min_length=1)]
    channels: Count
    image_size: Count
    train: Count
    validation: Count
    test: Count
    train_fraction: Number | None = None
    notes: tuple[Text, ...]
    fingerprint: Text
    content_fingerprint: Text | None = None


class Statistics(Record):
    """How the differences of a study are tested; the records of foveate 0.1.0 have the first three only.

    Attributes:
        adjust: how p values are adjusted for their number.
        alpha: the level of the tests.
        power: the chance at which a difference counts as detectable.
        margin: what counts as practically the same, in the unit of the primary metric; absent if it was not
            asked for.
        population: what the verdict speaks of; absent if it was not asked for.
    """

    adjust: Text
    alpha: Share
    power: Share
    margin: Number | None = None
    population: Population | None = None

    def margin_for(self, metric: Metric) -> float | None:
        """Return the margin: by default half a point of a metric in per cent, and none of another metric."""
        if self.margin is not None:
            return float(self.margin)
        return MARGIN_POINTS / metric.scale if metric.unit == "percent" else None

    @property
    def rests_on(self) -> Population:
        """What the verdict speaks of where there are scores of single images."""
        return self.population or POPULATION


class CustomSource(Record):
    """The source code of a mechanism that is a person's own.

    Attributes:
        mechanism: its name, such as mine.py:MyAttention.
        digest: the SHA-256 of the files (see `foveate.references.Sources`).
        main: the file that has the class.
        files: the text of each file by its path.
    """

    mechanism: Text
    digest: Text
    main: Text
    files: dict[Text, str]


class StudyDescription(Record):
    """What a study compares, on which images, with which recipe, and where.

    `task` is absent if it is classification, `dense` without a detector or segmenter, `start` without
    pretrained weights, `own_attention` if the backbones have none, `sources` without mechanisms of a person's
    own, `tuning` without --tune, and `sequential` unless it was planned look by look; `looks` are absent in
    records of versions that did not count them. The earliest records lack `pretrained` and `design`.
    """

    format: Count
    foveate: Text
    name: Text
    data: StudyData
    backbone: Text
    design: Design = Design()
    pretrained: Switch = False
    attention: Annotated[tuple[Text, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)]
    recipe: dict[str, Json]
    statistics: Statistics
    command: Text
    environment: Environment
    task: TaskRecord = CLASSIFICATION
    dense: DenseRecord | None = None
    start: Start | None = None
    own_attention: tuple[OwnAttentionRecord, ...] = ()
    sources: tuple[CustomSource, ...] = ()
    sequential: SequentialPlan | None = None
    looks: LooksByHand | None = None
    tuning: Tuning | None = None

    @property
    def network(self) -> str:
        """The network that candidates are variants of, in words: its backbone, and what stands over it."""
        return self.backbone if self.dense is None else f"{self.dense.title} over {self.backbone}"

    def source_of(self, label: str) -> CustomSource | None:
        """Return the source code of a candidate's mechanism, if it is a person's own."""
        name = label.partition("(")[0]
        return next((one for one in self.sources if one.mechanism == name), None)

    @property
    def weights_sha256(self) -> tuple[str, ...]:
        """The checksums of the pretrained weights that the study starts from."""
        return tuple(one.sha256 for one in self.start.weights) if self.start else ()


class StudyRecord(StudyDescription):
    """OUT/study.json: the description of a study and its runs. Studies write it, and reports read it."""

    runs: Annotated[tuple[PlannedRun, ...], Field(min_length=1)]
    failed: tuple[FailedRun, ...]

    @model_validator(mode="after")
    def _check_margin(self) -> "StudyRecord":
        margin = self.statistics.margin
        if margin is not None and not (margin > 0 and self.task.primary.can_differ_by(margin)):
            raise ValueError(f"statistics.margin is {margin}, which no two values of the metric differ by")
        return self

    @model_validator(mode="after")
    def _check_runs(self) -> "StudyRecord":
        unknown = sorted({run.attention for run in self.runs} - set(self.attention))
        if unknown:
            raise ValueError(f"runs have the attention {unknown[0]}, which the study has not")
        return self


@dataclass(frozen=True)
class StudyRecords:
    """All records in the folder of a study.

    `results[attention][seed]` is the record of a finished run. `missing` lists in sentences what is missing.
    """

    folder: Path
    study: StudyRecord
    results: dict[str, dict[int, RunRecord]]
    cost: CostRecord
    missing: tuple[str, ...]

    @property
    def finished(self) -> list[str]:
        """The labels with at least one finished run: the baseline first, then in the order of the study."""
        labels = [label for label in self.study.attention if self.results.get(label)]
        return sorted(labels, key=lambda label: label != BASELINE)

    def runs(self) -> Iterator[tuple[str, int, RunRecord]]:
        """Yield label, seed and record of each finished run, in the order of `finished` and of the seeds."""
        for label in self.finished:
            for seed in sorted(self.results[label]):
                yield label, seed, self.results[label][seed]


def check_study_folder(folder: Path, shown: object = None) -> None:
    """Raise RequestError if `folder`, which a person reads as `shown`, holds no study."""
    if not (folder / STUDY).is_file():
        raise RequestError(
            f"{shown or folder} holds no study: study.json is not there. Give a folder that `foveate "
            "compare` wrote."
        )


def read_study(folder: Path) -> StudyRecords:
    """Read all records in the study's `folder`.

    Raises:
        RequestError: `folder` holds no study, or has a record of another format or of another run.
        WorkError: no run of the study has finished.
    """
    check_study_folder(folder)
    study = read_record(folder / STUDY, StudyRecord, shown=True)
    results: dict[str, dict[int, RunRecord]] = {label: {} for label in study.attention}
    for run in study.runs:
        path = folder / RUNS / run.id / RESULT
        if path.is_file():
            record = read_run(path, run.id, study.task, shown=True)
            rows, classes = len(record.test.per_class), len(study.data.classes)
            if study.task == CLASSIFICATION and rows != classes:
                raise RequestError(
                    refusal(path, f"test.per_class has {rows} of the study's {classes} classes")
                )
            results[run.attention][run.seed] = record
    if not any(results.values()):
        reasons = "".join(
            f" {display_name(run.attention)}, seed {run.seed}: {run.error}." for run in study.failed
        )
        raise WorkError(
            f"no run of the study in {folder} has finished, so there is nothing to report.{reasons} "
            "Start the study again: it resumes."
        )
    path = folder / COST
    cost = read_record(path, CostRecord, shown=True) if path.is_file() else CostRecord(rows={})
    return StudyRecords(folder, study, results, cost, tuple(_missing(study, results, cost)))


def _missing(study: StudyRecord, results: dict[str, dict[int, RunRecord]], cost: CostRecord) -> list[str]:
    errors = {run.id: run.error for run in study.failed}
    sentences = []
    for run in study.runs:
        if run.seed not in results[run.attention]:
            fate = f"failed: {errors[run.id]}" if run.id in errors else "has not finished."
            sentences.append(f"The run of {name_in_sentence(run.attention)} with seed {run.seed} {fate}")
    unmeasured = [name_in_sentence(label) for label in study.attention if label not in cost.rows]
    if unmeasured:
        sentences.append(f"No cost was measured for {', '.join(unmeasured)}.")
    return sentences
