"""The spec of a study and of one run; the hash of a run's spec names the run."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from foveate.data.source import SMALLEST_IMAGE
from foveate.errors import RequestError, unknown_name
from foveate.records.base import Json
from foveate.records.design import Design, Family, Growth, Measure
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION
from foveate.records.run import spec_id
from foveate.records.sequential import Spending
from foveate.records.study import Population
from foveate.records.tuning import Tuning
from foveate.studies.spec.budget import check_budget
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.defaults import (
    ADJUST,
    DEFAULT_RECIPE,
    FINE_TUNING_RECIPE,
    GROW,
    RECIPE_OF_DATA,
    SEEDS,
)
from foveate.studies.spec.subject import SUBJECTS, read_subject
from foveate.studies.spec.tuning import Tune, read_tune, tuned_recipe
from foveate.studies.spec.weights import StartWeights, read_pretrained
from foveate.tasks import find_task
from foveate.training.recipe import (
    Number,
    Recipe,
    Whole,
    faults_in_words,
    make_recipe,
    read_recipe,
)

__all__ = ["DataChoice", "RunSpec", "StudySpec", "make_study"]

MOST_SEEDS = 1000
LATER: dict[str, Any] = {
    "task": CLASSIFICATION.name,
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


class DataChoice(BaseModel):
    """The images of a study, and how they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    image_size: Whole | None = Field(None, ge=SMALLEST_IMAGE)
    upscale: bool = False
    skip_broken: bool = False
    train_fraction: Number = Field(1.0, gt=0, le=1)
    image_column: str | None = None
    label_column: str | None = None


class _Spec(BaseModel):
    """A spec whose later fields are not written where they have their defaults: earlier specs had none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = CLASSIFICATION.name

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
        return (self.margin or 0.0) / find_task(self.task).record.primary.scale

    @property
    def name(self) -> str:
        """The study's short name: its data, its kind and its backbone."""
        data = self.data.source.rstrip("/").rsplit("/", 1)[-1]
        parts = [data, self.backbone or "networks"]
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


def make_study(settings: Mapping[str, Any], recipe_changes: Mapping[str, Any]) -> StudySpec:
    """Build a study from the keys of a study file and of the command line.

    Args:
        settings: data; the subject: attention, ablate or sweep (with values) on a backbone, or backbones;
            seeds (their number, or a list), recipe (a name, a path, or a mapping that may have a `base`),
            adjust, family, margin, population, until_decided, max_seeds, max_hours, spending, pretrained,
            weights (a file, which implies pretrained), replace_own, control, grow, and the fields of
            DataChoice.
            adjust, family, margin, population, pretrained, weights (a file, which implies pretrained),
            replace_own, control, grow, tune, tune_option, and the fields of DataChoice.
        recipe_changes: recipe keys that override the recipe's own.

    Raises:
        RequestError: an unknown name or key (the nearest is named), or an impossible value.
    """
    settings = {key: value for key, value in settings.items() if value is not None}
    known = (set(StudySpec.model_fields) | set(DataChoice.model_fields) | set(SUBJECTS) | {"tune_option"}) - {
        "source",
        "design",
        "starts",
        "tuning",
    }
    for key in settings:
        if key not in known:
            raise RequestError(unknown_name("study key", str(key), known))
    if not settings.get("data"):
        raise RequestError("the study names no data: give --data or the key data in the study file")
    settings["pretrained"] = pretrained = read_pretrained(settings)
    backbone, candidates, design = read_subject(settings, identity_init=pretrained)
    source = settings["data"]
    if not isinstance(source, str):
        raise RequestError(
            f"data = {source!r}: expected digits, a folder or a hub name. YAML reads names such as 007 and "
            'no as numbers and switches: put the name in quotes, "007"'
        )
    choice = {key: settings[key] for key in DataChoice.model_fields if key in settings}
    seeds = _seeds(settings.get("seeds", SEEDS))
    kept = (
        "pretrained",
        "weights",
        "replace_own",
        "adjust",
        "family",
        "margin",
        "population",
        "until_decided",
        "max_seeds",
        "max_hours",
        "spending",
        "control",
        "grow",
    )
    try:
        study = StudySpec(
            data=DataChoice(source=source, **choice),
            backbone=backbone,
            attention=candidates,
            design=design,
            seeds=seeds,
            tune=read_tune(settings, candidates, design, seeds),
            recipe=_recipe(settings.get("recipe"), _usual_recipe(source, pretrained), recipe_changes),
            **{key: settings[key] for key in kept if key in settings},
        )
    except ValidationError as error:
        raise RequestError(f"the study is not valid: {faults_in_words(error)}") from error
    _check_family(study)
    _check_margin(study)
    check_budget(
        until_decided=study.until_decided,
        first=len(study.seeds),
        max_seeds=study.max_seeds,
        max_hours=study.max_hours,
        spending=study.spending,
    )
    if study.control is None and "grow" in settings:
        raise RequestError(
            f"grow = {study.grow} says how control enlarges the baseline, and the study has no control: give "
            "--control parameters, macs or latency, too"
        )
    return study


def _check_family(study: StudySpec) -> None:
    """Refuse a family that the study cannot have."""
    kind = study.design.kind
    if study.family is not None and kind in ("ablate", "sweep"):
        raise RequestError(
            f"family = {study.family}: {kind} tests the comparisons that it plans, and no other: leave the "
            "family out"
        )
    if study.family == "baseline" and BASELINE not in [one.label for one in study.attention]:
        raise RequestError(
            "family = baseline: the study has no baseline to compare with: "
            + ("give all, or leave it out" if kind == "networks" else "add none to attention, or give all")
        )


def _check_margin(study: StudySpec) -> None:
    """Refuse a margin that no difference of the primary metric can be above, or below."""
    metric = find_task(study.task).record.primary
    if study.margin is not None and not (study.margin > 0 and metric.can_differ_by(study.margin_of_metric)):
        unit = metric.unit_of_differences or "a number"
        most = (
            f" and under {metric.scale * (metric.high - metric.low):g}"
            if metric.high and metric.low is not None
            else ""
        )
        raise RequestError(
            f"margin = {study.margin:g}: expected {unit} of {metric.noun} over 0{most}: the difference "
            "that counts as practically the same, such as 0.5"
        )


def _usual_recipe(source: str, pretrained: bool) -> str:
    return FINE_TUNING_RECIPE if pretrained else RECIPE_OF_DATA.get(source, DEFAULT_RECIPE)


def _recipe(given: Any, usual: str, changes: Mapping[str, Any]) -> Recipe:
    settings = dict(given) if isinstance(given, Mapping) else {"base": given}
    base = settings.pop("base", None) or usual
    return make_recipe(read_recipe(str(base)) | settings | dict(changes), f"recipe {base}")


def _seeds(given: Any) -> tuple[int, ...]:
    """Read the number of seeds (which are then 0, 1, …) or a list of seeds."""
    if isinstance(given, int) and not isinstance(given, bool):
        seeds = tuple(range(min(given, MOST_SEEDS + 1)))
    elif isinstance(given, list | tuple) and all(type(seed) is int for seed in given):
        seeds = tuple(given)
    else:
        raise RequestError(f"seeds = {given!r}: expected how many, or a list of numbers")
    if len(seeds) > MOST_SEEDS:
        raise RequestError(
            f"{given if isinstance(given, int) else len(seeds)} seeds: expected at most {MOST_SEEDS}"
        )
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**32 or len(set(seeds)) < len(seeds):
        raise RequestError(f"seeds = {given!r}: expected at least one, each from 0 to 2³² - 1, none twice")
    return seeds
