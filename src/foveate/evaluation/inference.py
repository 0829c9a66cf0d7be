"""What the comparisons of a study come to for one population: intervals, p values and outcomes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from foveate.evaluation.estimates import Estimate
from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.repeated import RepeatedTests
from foveate.evaluation.significance import Outcome, is_significant, outcome
from foveate.evaluation.statistics import PairedTest, adjust_family
from foveate.records.base import JsonObject
from foveate.records.metric import Metric
from foveate.records.study import Population

__all__ = ["Inference", "infer_family"]


@dataclass(frozen=True)
class Inference:
    """What a comparison of b with a came to for one population; None of what could not be tested.

    All p values but `p` are adjusted for the family of the study.

    Attributes:
        population: what the intervals and tests speak of.
        standard_error: of the mean difference.
        image_share: the share of its square that comes from the choice of the test images.
        ci95: 95 % interval of the difference, for itself.
        p: of the difference.
        p_adjusted: the same, adjusted.
        equivalence_p: of a true difference that is at least the margin in size (TOST).
        no_gain_p: of a true gain that is at least the margin.
        outcome: of b against a.
        is_gain_under_margin: whether b was shown not to be better by the margin or more.
    """

    population: Population
    standard_error: float | None
    image_share: float | None
    ci95: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    equivalence_p: float | None
    no_gain_p: float | None
    outcome: Outcome
    is_gain_under_margin: bool

    def to_json(self) -> JsonObject:
        """Return it as `--json` gives it."""
        return {**asdict(self), "outcome": outcome_word(self.outcome)}


def outcome_word(found: Outcome) -> str:
    """Return the word of `--json`: better, worse, equivalent or inconclusive."""
    return found.value if found.is_decided else Outcome.INCONCLUSIVE.value


def infer_family(
    tested: Sequence[tuple[PairedTest, Estimate | None]],
    population: Population,
    metric: Metric,
    margin: float | None,
    alpha: float,
    adjust: str,
    repeated: Sequence[RepeatedTests] | None = None,
) -> list[Inference]:
    """Test the differences of one family, and whether they are within the margin.

    The p values of the differences, those of equivalence and those of a gain of the margin are each adjusted
    as one family: the chance of even one false difference is at most `alpha`, and so is that of even one
    false equivalence. In a single comparison only one of the two can be false.

    Args:
        tested: of each comparison the test over its seeds, and its estimate for the population; a comparison
            without a spread has no estimate.
        margin: in the unit of the metric; None tests no equivalence.
        repeated: the other looks at each comparison, for which its p values are adjusted too.
    """

    def adjusted(values: list[float | None], tails: int = 1) -> list[float | None]:
        if repeated is not None:
            values = [
                None if value is None else own.adjust(value, alpha, tails)
                for value, own in zip(values, repeated, strict=True)
            ]
            if any(own.is_planned for own in repeated):
                return values  # levels are divided among the comparisons
        return adjust_family([test for test, _ in tested], adjust, values)

    found = [estimate for _, estimate in tested]
    p = adjusted([None if one is None else one.p_different for one in found], tails=2)
    none: list[float | None] = [None] * len(found)
    equivalence = no_gain = none
    if margin is not None:
        equivalence = adjusted([None if one is None else one.p_within(margin) for one in found])
        no_gain = adjusted([None if one is None else _p_no_gain(one, metric, margin) for one in found])
    bounds = bounds_of(metric).of_differences
    return [
        Inference(
            population=population,
            standard_error=one.standard_error if one else None,
            image_share=one.image_variance / one.standard_error**2 if one else None,
            ci95=one.interval(bounds) if one else None,
            p=one.p_different if one else None,
            p_adjusted=p[place],
            equivalence_p=equivalence[place],
            no_gain_p=no_gain[place],
            outcome=outcome(
                tested[place][0].difference,
                p[place],
                alpha,
                higher_is_better=metric.higher_is_better,
                equivalence_p=equivalence[place],
            ),
            is_gain_under_margin=is_significant(no_gain[place], alpha),
        )
        for place, one in enumerate(found)
    ]


def _p_no_gain(estimate: Estimate, metric: Metric, margin: float) -> float:
    return estimate.p_below(margin) if metric.higher_is_better else estimate.p_above(-margin)
