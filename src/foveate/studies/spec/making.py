"""Build the spec of a study from the keys of a study file and of the command line."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from foveate.errors import RequestError, unknown_name
from foveate.records.labels import BASELINE
from foveate.studies.spec.budget import check_budget
from foveate.studies.spec.defaults import (
    DEFAULT_RECIPE,
    FINE_TUNING_RECIPE,
    RECIPE_OF_DATA,
    RECIPE_OF_TASK,
    SEEDS,
)
from foveate.studies.spec.dense import DENSE_KEYS, read_task
from foveate.studies.spec.dense_checks import check_task
from foveate.studies.spec.study import DataChoice, StudySpec
from foveate.studies.spec.subject import SUBJECTS, read_subject
from foveate.studies.spec.tuning import read_tune
from foveate.studies.spec.weights import read_pretrained
from foveate.training.recipe import Recipe, faults_in_words, make_recipe, read_recipe

__all__ = ["make_study"]

MOST_SEEDS = 1000


def make_study(settings: Mapping[str, Any], recipe_changes: Mapping[str, Any]) -> StudySpec:
    """Build a study from the keys of a study file and of the command line.

    Args:
        settings: data; the subject: attention, ablate or sweep (with values) on a backbone, or backbones;
            seeds (their number, or a list), recipe (a name, a path, or a mapping that may have a `base`),
            adjust, family, margin, population, until_decided, max_seeds, max_hours, spending, pretrained,
            weights (a file, which implies pretrained), replace_own, control, grow, tune, tune_option; task,
            detector, segmenter, norm, attention_in; and the fields of DataChoice.
        recipe_changes: recipe keys that override the recipe's own.

    Raises:
        RequestError: an unknown name or key (the nearest is named), or an impossible value.
    """
    settings = {key: value for key, value in settings.items() if value is not None}
    fields = {*StudySpec.model_fields, *DataChoice.model_fields} - {
        "source",
        "design",
        "starts",
        "tuning",
        "dense",
    }
    known = {*fields, *SUBJECTS, *DENSE_KEYS, "tune_option"}
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
    task, dense = read_task(settings, pretrained=pretrained)
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
            recipe=_recipe(settings.get("recipe"), _usual_recipe(source, task, pretrained), recipe_changes),
            task=task,
            dense=dense,
            **{key: settings[key] for key in kept if key in settings},
        )
    except ValidationError as error:
        raise RequestError(f"the study is not valid: {faults_in_words(error)}") from error
    check_task(study)
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
    if study.margin is None:
        return
    from foveate.tasks import find_task  # it imports torch, which refusals do without

    metric = find_task(study.task).record.primary
    smallest = 10**-metric.digits
    if not (study.margin >= smallest and metric.can_differ_by(study.margin_of_metric)):
        unit = metric.unit_of_differences or "a number"
        most = (
            f" and under {metric.scale * (metric.high - metric.low):g}"
            if metric.high and metric.low is not None
            else ""
        )
        raise RequestError(
            f"margin = {study.margin:g}: expected {unit} of {metric.noun}, at least {smallest:g}{most}: the "
            "difference that counts as practically the same, such as 0.5"
        )


def _usual_recipe(source: str, task: str, pretrained: bool) -> str:
    if task in RECIPE_OF_TASK:
        return RECIPE_OF_TASK[task]
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
