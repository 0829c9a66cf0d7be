"""The summary of a study: what every table, figure and sentence is made from, and what `--json` gives."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from foveate.evaluation.comparisons import Comparison
from foveate.evaluation.guessing import Guessing
from foveate.evaluation.looks import Course
from foveate.evaluation.metric_differences import MetricDifference
from foveate.evaluation.statistics import Anova, Description
from foveate.evaluation.trajectories import Trajectory
from foveate.records.base import JsonObject
from foveate.records.cost import CostRecord
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION, Metric
from foveate.records.study import Population, StudyDescription
from foveate.report.study.class_changes import ClassChange
from foveate.report.study.printed import PrintedFigures

__all__ = ["Price", "Summary", "SummaryRow"]


@dataclass(frozen=True)
class Price:
    """What a candidate's network costs, and its change to the baseline in per cent; None if not measured.

    The ratio of latencies was measured side by side with the baseline: the ratio of the medians would add the
    drift between the two measurements.
    """

    parameters: int | None
    parameters_increase_percent: float | None
    macs: int | None
    macs_increase_percent: float | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    latency_ratio: float | None
    latency_ratio_ci95: tuple[float, float] | None
    latency_increase_percent: float | None

    @property
    def increases(self) -> tuple[float | None, float | None, float | None]:
        """The changes of parameters, multiply-adds and latency."""
        return self.parameters_increase_percent, self.macs_increase_percent, self.latency_increase_percent

    @property
    def is_latency_significant(self) -> bool:
        """Whether the interval of the latency ratio excludes 1, or is not known, as in records of 0.1.0."""
        bounds = self.latency_ratio_ci95
        return bounds is None or not bounds[0] <= 1 <= bounds[1]


@dataclass(frozen=True)
class SummaryRow:
    """One candidate over its seeds.

    Attributes:
        attention: its label.
        runs: number of finished runs.
        scores: of the test part, by the name of the metric.
        price: what its network costs.
        efficiency_score: gain in the primary metric per 1 % of parameters added, in points of a percentage.
        epochs_to_95: first epoch that reaches 95 % of the last epoch's validation value.
        fluctuation: standard deviation of the validation value over the last tenth of the epochs.
        input_share: share of the training's time that waited for images.
        train_seconds: of one run.
        still_improving: whether its validation value still improves at the end of the training; None where
            that cannot be said (see `foveate.report.study.undertraining`).
    """

    attention: str
    runs: int
    scores: dict[str, Description]
    price: Price
    efficiency_score: float | None
    epochs_to_95: Description
    fluctuation: Description
    input_share: Description
    train_seconds: Description
    still_improving: bool | None = None

    def to_json(self) -> JsonObject:
        """Return the row as `--json` gives it: scores and price stand beside the rest."""
        content = asdict(self)
        scores, price = content.pop("scores"), content.pop("price")
        head = {key: content.pop(key) for key in ("attention", "runs")}
        return {**head, **scores, **price, **content}


@dataclass(frozen=True)
class Summary:
    """A study in numbers, and its verdict in sentences.

    Attributes:
        study: what was compared, of what, and how.
        cost: the record of costs, for the conditions under which they were measured.
        noise: what speaks against the latencies, in words, the worst first.
        rows: the candidates with finished runs, the baseline first.
        comparisons: the planned comparisons, or those of the family.
        family: number of different pairs that were tested.
        alpha_per_test: the level that the smallest p value of the family must pass.
        anova: over the seeds that every candidate has finished.
        detectable_difference: from the baseline, at the fewest seeds that any comparison with it has.
        class_changes: of a classification in which no comparison was planned.
        untested_classes: classes without a test image.
        missing: what is missing, in sentences.
        report: the path of the page.
        verdict: the sentences, the headline first.
        against: the figures of an article that were asked for.
        guessing: what guessing gets on the test part of a classification.
        asked: number of runs that the study asks for.
        courses: the comparisons of a study that was planned look by look.
        scores_obstacle: why the scores of single images cannot be used, in a sentence without its full stop;
            None if they can, or in summaries of earlier versions.
        metric_differences: of all metrics, for both populations.
        trajectories: the gain over the baseline by epoch, by the label of the candidate; None in summaries of
            earlier versions.
        devices: on which machines and devices the runs were trained, in sentences; none where each had one
            device, all of one kind, and no scheduler chose it.
    """

    study: StudyDescription
    cost: CostRecord
    noise: tuple[str, ...]
    rows: tuple[SummaryRow, ...]
    comparisons: tuple[Comparison, ...]
    family: int
    alpha_per_test: float
    anova: Anova | None
    detectable_difference: float | None
    class_changes: tuple[ClassChange, ...]
    untested_classes: tuple[str, ...]
    missing: tuple[str, ...]
    report: Path
    verdict: tuple[str, ...] = ()
    against: PrintedFigures | None = None
    guessing: Guessing | None = None
    asked: int = 0
    courses: tuple[Course, ...] = ()
    scores_obstacle: str | None = None
    metric_differences: tuple[MetricDifference, ...] = ()
    trajectories: Mapping[str, Trajectory] | None = None
    devices: tuple[str, ...] = ()

    @property
    def metric(self) -> Metric:
        """The primary metric, by which candidates are compared."""
        return self.study.task.primary

    @property
    def rests_on(self) -> Population:
        """What the verdict speaks of."""
        return next((test.population for test in self.comparisons), "these-images")

    @property
    def margin(self) -> float | None:
        """The difference that counts as practically the same; None of summaries of earlier versions."""
        return next((test.margin for test in self.comparisons), None)

    @property
    def against_baseline(self) -> dict[str, Comparison]:
        """The comparisons with the baseline, by the label of the candidate."""
        return {test.b: test for test in self.comparisons if test.a == BASELINE}

    @property
    def cost_conditions(self) -> JsonObject:
        """How the costs were measured, and what speaks against the latencies."""
        cost = self.cost.to_json()
        del cost["rows"]
        return cost | {"noise": list(self.noise)}

    @property
    def has_latency_ratios(self) -> bool:
        """Whether the latency of every candidate has a ratio to the baseline's."""
        return all(row.price.latency_ratio for row in self.rows)

    def with_verdict(self, sentences: list[str]) -> "Summary":
        """Return the summary with its verdict."""
        return replace(self, verdict=tuple(sentences))

    def to_json(self) -> JsonObject:
        """Return the summary as `--json` gives it; numbers that cannot be given are None."""
        study = self.study.to_json()
        is_classification = self.study.task == CLASSIFICATION
        keys = ("name", "data", "backbone", "attention", "seeds", "recipe", "command", "environment")
        content = {
            "study": {
                **{key: study[key] for key in keys},
                "pretrained": self.study.pretrained,
                "design": self.study.design.to_json(),
                "cost": self.cost_conditions,
                "foveate": self.study.foveate,
                "statistics": study["statistics"]
                | {
                    "comparisons": self.family,
                    "alpha_per_test": self.alpha_per_test,
                    "family": self.study.design.tested,
                },
                **({"start": study["start"]} if self.study.start else {}),
                **({"own_attention": study["own_attention"]} if self.study.own_attention else {}),
                **({"sequential": study["sequential"]} if self.study.sequential else {}),
                **({"looks": study["looks"]} if self.study.looks and self.study.looks.earlier else {}),
                **({"tuning": study["tuning"]} if self.study.tuning else {}),
                **({} if is_classification else {"task": self.study.task.to_json()}),
                **({"dense": study["dense"]} if self.study.dense else {}),
            },
            "rows": [row.to_json() for row in self.rows],
            "guessing": asdict(self.guessing) if self.guessing else None,
            "tests": [test.to_json() for test in self.comparisons],
            **(
                {"metric_differences": [one.to_json() for one in self.metric_differences]}
                if self.metric_differences
                else {}
            ),
            "anova": asdict(self.anova) if self.anova else None,
            "detectable_difference": self.detectable_difference,
            "class_changes": [change.to_json() for change in self.class_changes],
            "untested_classes": list(self.untested_classes),
            **({"devices": list(self.devices)} if self.devices else {}),
            "missing": list(self.missing),
            "report": str(self.report),
            "verdict": list(self.verdict),
        }
        if self.courses:
            content["sequential"] = [course.to_json() for course in self.courses]
        if self.trajectories is not None:
            followed = self.trajectories.items()
            content["trajectories"] = [{"attention": label, **one.to_json()} for label, one in followed]
        return content | ({"against": self.against.to_json()} if self.against else {})
