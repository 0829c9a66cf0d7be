"""The spec of a study and of one run; the hash of a run's spec names the run."""

import re
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from foveate.data.source import SMALLEST_IMAGE
from foveate.records.base import Json
from foveate.records.design import Design, Family, Growth, Measure
from foveate.records.metric import CLASSIFICATION
from foveate.records.run import spec_id
from foveate.records.sequential import Spending
from foveate.records.study import Population
from foveate.records.tuning import Tuning
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.defaults import (
    ADJUST,
    GROW,
)
from foveate.studies.spec.dense import DenseNetwork
from foveate.studies.spec.tuning import Tune, tuned_recipe
from foveate.studies.spec.weights import StartWeights
from foveate.training.recipe import (
    Number,
    Recipe,
    Whole,
)

__all__ = ["DataChoice", "RunSpec", "StudySpec", "is_given"]

LATER: dict[str, Any] = {
    "task": CLASSIFICATION.name,
    "dense": None,
    "weights": None,
    "starts": {},
    "replace_own": False,
    "margin": None,
    "population": None,
    "until_decided": False,
    "max_seeds": None,
    "max_hours": None,
    "spending": None,
    "tune": None,
    "tuning": None,
}
"""The fields of specs that the earliest did not have, with their defaults."""


DENSE = ("ignored_label", "class_names", "refuse_invalid")
"""The fields of `DataChoice` that are for images with boxes or masks, written only where they are given."""


def is_given(value: Any) -> bool:
    """Return whether the value of a field of `DENSE` is another than its default; the label 0 is."""
    return value is not None and value is not False


class DataChoice(BaseModel):
    """The images of a study, and how they are read.

    `ignored_label` is the value of masks that counts for nothing beside 255, `class_names` a file with the
    names of the classes of masks; `refuse_invalid` refuses invalid boxes instead of dropping them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    image_size: Whole | None = Field(None, ge=SMALLEST_IMAGE)
    upscale: bool = False
    skip_broken: bool = False
    train_fraction: Number = Field(1.0, gt=0, le=1)
    image_column: str | None = None
    label_column: str | None = None
    ignored_label: Whole | None = Field(None, ge=0, le=255)
    class_names: str | None = None
    refuse_invalid: bool = False

    @model_serializer(mode="wrap")
    def _without_dense(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialise(self)
        return {key: value for key, value in content.items() if key not in DENSE or is_given(value)}


class _Spec(BaseModel):
    """A spec whose later fields are not written where they have their defaults: earlier specs had none.

    `dense` is the detector or segmenter over the backbone, which a classification has not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = CLASSIFICATION.name
    dense: DenseNetwork | None = None

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialise(self)
        return {key: value for key, value in content.items() if key not in LATER or value != LATER[key]}


class StudySpec(_Spec):
    """A study: candidates × seeds with one recipe on one data set, and the comparisons that it plans.

    `backbone` is None if each candidate is a network of its own. `control` asks for cost-matched controls of
    the mechanisms, by that measure; `grow` says how the baseline is enlarged for them. `family` asks what is
    compared; None leaves it to the folder of the study (see `foveate.studies.engine.family.with_family`).
    `margin`, in points of the primary metric (or its unit), and `population` are as those of
    `foveate.records.study.Statistics`; None leaves them to the folder, too.

    With `until_decided` seeds are added until each comparison is decided; see `foveate.studies.rounds`.
    `seeds` are then those of the first look, and `max_seeds`, `max_hours` and `spending` the budget; None
    leaves all but the hours to the folder, too.

    With `pretrained` the runs start from trained weights: from the file `weights`, which are those of the
    backbone, or else from those that are published for it. `starts` are the files by backbone, once they are
    found (see `with_weights`).

    With `replace_own` the attention that the backbone has of its own is taken out of all networks, and
    mechanisms go to its places.

    `tune` asks for trials of each candidate before the seeds begin; `tuning` is what they came to.
    """

    data: DataChoice
    backbone: str | None
    pretrained: bool = False
    weights: str | None = None
    starts: dict[str, StartWeights] = {}
    replace_own: bool = False
    attention: tuple[Candidate, ...]
    design: Design = Design()
    control: Measure | None = None
    grow: Growth = GROW
    seeds: tuple[int, ...] = Field(min_length=1)
    recipe: Recipe
    adjust: Literal["holm", "bonferroni"] = ADJUST
    family: Family | None = None
    margin: Number | None = None
    population: Population | None = None
    until_decided: bool = False
    max_seeds: Whole | None = None
    max_hours: Number | None = None
    spending: Spending | None = None
    tune: Tune | None = None
    tuning: Tuning | None = None

    @property
    def margin_of_metric(self) -> float:
        """The margin in the unit of the records of the primary metric; 0 if none was given."""
        from foveate.tasks import find_task  # it imports torch, which refusals do without

        return (self.margin or 0.0) / find_task(self.task).record.primary.scale

    @property
    def name(self) -> str:
        """The study's short name: its data, its kind and its backbone."""
        data = self.data.source.rstrip("/").rsplit("/", 1)[-1]
        parts = [data, *([self.dense.name] if self.dense else []), self.backbone or "networks"]
        if self.design.kind in ("ablate", "sweep"):
            parts += [self.design.kind, str(self.design.subject)]
        return re.sub(r"[:/]", "-", "-".join(parts))

    def backbone_of(self, candidate: Candidate) -> str:
        """Return the name of the network that `candidate` is, or is attached to."""
        backbone = candidate.backbone or self.backbone
        assert backbone is not None
        return backbone

    def runs(self, fingerprint: str) -> list["RunSpec"]:
        """Return all runs, seed by seed, so that an unfinished study has complete pairs."""
        return [
            RunSpec(
                data=self.data,
                fingerprint=fingerprint,
                backbone=self.backbone_of(candidate),
                pretrained=self.pretrained,
                weights=self.starts.get(self.backbone_of(candidate)),
                attention=_labelled(candidate),
                recipe=tuned_recipe(self.recipe, self.tuning, candidate.label),
                seed=seed,
                task=self.task,
                dense=self.dense,
                replace_own=self.replace_own,
            )
            for seed in self.seeds
            for candidate in self.attention
        ]


class RunSpec(_Spec):
    """spec.json: everything that decides what a run's network learns; `fingerprint` identifies the images."""

    data: DataChoice
    fingerprint: str
    backbone: str
    pretrained: bool
    weights: StartWeights | None = None
    replace_own: bool = False
    attention: Candidate
    recipe: Recipe
    seed: int

    @property
    def id(self) -> str:
        """The hash that names the run's folder; see `foveate.records.run.spec_id`."""
        return spec_id(self.model_dump(mode="json"))

    def to_record(self) -> dict[str, Json]:
        """Return the spec as result.json holds it: with the label of its candidate."""
        content = self.model_dump(mode="json")
        content["attention"]["label"] = self.attention.label
        return content


def _labelled(candidate: Candidate) -> Candidate:
    """Return `candidate` with its label as its alias, where its spec alone would give another."""
    if not candidate.usual_identity_init:
        return candidate
    return candidate.model_copy(update={"alias": candidate.label})
