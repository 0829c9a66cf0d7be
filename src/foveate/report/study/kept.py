"""Reads a summary from the JSON that `foveate report --json` gave."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from foveate.evaluation.comparisons import Comparison, make_comparison
from foveate.evaluation.guessing import Guessing
from foveate.evaluation.improvement import Improvement
from foveate.evaluation.inference import Inference
from foveate.evaluation.significance import Outcome
from foveate.evaluation.statistics import Anova, Description, PairedTest
from foveate.evaluation.trajectories import Trajectory
from foveate.records.base import FORMAT, JsonObject
from foveate.records.cost import CostRecord
from foveate.records.design import PlannedPair
from foveate.records.study import Population, StudyDescription
from foveate.report.study.class_changes import ClassChange
from foveate.report.study.printed import PrintedFigures
from foveate.report.study.summary import Price, Summary, SummaryRow

__all__ = ["summary_from_json"]

PRICE = TypeAdapter(Price)
DESCRIPTION = TypeAdapter(Description)
TEST = TypeAdapter(PairedTest)
ANOVA = TypeAdapter(Anova | None)
CHANGE = TypeAdapter(ClassChange)
PRINTED = TypeAdapter(PrintedFigures)
GUESSING = TypeAdapter(Guessing | None)
ADDED: dict[str, TypeAdapter[Any]] = {
    "margin": TypeAdapter(float | None),
    "population": TypeAdapter(Population),
    "these_images": TypeAdapter(Inference | None),
    "new_images": TypeAdapter(Inference | None),
    "improvement": TypeAdapter(Improvement | None),
}
"""The keys of comparisons that earlier versions did not give."""
TRAJECTORY = TypeAdapter(Trajectory)


def summary_from_json(content: JsonObject) -> Summary:
    """Return the summary whose JSON is `content`; what earlier versions did not give is empty."""
    described = content["study"]
    study = StudyDescription.model_validate({**described, "format": FORMAT})
    cost = described["cost"]
    return Summary(
        study=study,
        cost=CostRecord.model_validate({**cost, "rows": {}}),
        noise=tuple(cost.get("noise", ())),
        rows=tuple(_row(row, study) for row in content["rows"]),
        comparisons=tuple(_comparison(test, study) for test in content["tests"]),
        family=described["statistics"]["comparisons"],
        alpha_per_test=described["statistics"]["alpha_per_test"],
        anova=ANOVA.validate_python(content["anova"]),
        detectable_difference=content["detectable_difference"],
        class_changes=tuple(map(_class_change, content.get("class_changes", ()))),
        untested_classes=tuple(content.get("untested_classes", ())),
        missing=tuple(content["missing"]),
        report=Path(content.get("report", "")),
        verdict=tuple(content["verdict"]),
        trajectories=_trajectories(content["trajectories"]) if "trajectories" in content else None,
        guessing=GUESSING.validate_python(content.get("guessing")),
        against=_printed(content["against"]) if "against" in content else None,
    )


def _row(row: JsonObject, study: StudyDescription) -> SummaryRow:
    price = {field.name: row.get(field.name) for field in fields(Price)}
    return SummaryRow(
        attention=row["attention"],
        runs=row["runs"],
        scores={metric.name: DESCRIPTION.validate_python(row[metric.name]) for metric in study.task.metrics},
        price=PRICE.validate_python(price),
        efficiency_score=row["efficiency_score"],
        epochs_to_95=DESCRIPTION.validate_python(row["epochs_to_95"]),
        fluctuation=DESCRIPTION.validate_python(row["fluctuation"]),
        input_share=DESCRIPTION.validate_python(row["input_share"]),
        train_seconds=DESCRIPTION.validate_python(row["train_seconds"]),
        still_improving=row.get("still_improving"),
    )


def _comparison(test: JsonObject, study: StudyDescription) -> Comparison:
    made = make_comparison(
        PlannedPair(test["a"], test["b"], test.get("title"), test.get("group")),
        TEST.validate_python(test),
        test["p_adjusted"],
        study.task.primary,
        study.statistics.alpha,
        detectable_difference=test["detectable_difference"],
        seeds_needed=test["seeds_needed"],
    )
    if "outcome" not in test:
        return made
    known = {name: test[name] for name in ("margin", "population", "improvement")}
    known |= {name: test[name] and _inference(test[name]) for name in ("these_images", "new_images")}
    is_untested = made.outcome is Outcome.UNTESTED
    return replace(
        made,
        outcome=made.outcome if is_untested else Outcome(test["outcome"]),
        **{name: ADDED[name].validate_python(value) for name, value in known.items()},
    )


def _inference(content: JsonObject) -> JsonObject:
    """Return an inference with its outcome; `--json` calls one that could not be tested inconclusive."""
    return content | ({"outcome": Outcome.UNTESTED} if content["p_adjusted"] is None else {})


def _class_change(change: JsonObject) -> ClassChange:
    names = {
        "name": change["class"],
        "baseline": change["plain"],
        "score": change["accuracy"],
        "is_significant": change["shown"],
    }
    return CHANGE.validate_python({**change, **names})


def _trajectories(given: list[JsonObject]) -> dict[str, Trajectory]:
    return {one["attention"]: TRAJECTORY.validate_python(one) for one in given}


def _printed(against: JsonObject) -> PrintedFigures:
    unplanned = {"title": None, "group": None}
    contrasts = [{**unplanned, **contrast} for contrast in against["contrasts"]]
    return PRINTED.validate_python({**against, "contrasts": contrasts})
