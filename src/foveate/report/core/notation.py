"""How statistics and comparisons are written; foveate.notation writes single numbers."""

from foveate.evaluation.comparisons import Comparison
from foveate.evaluation.statistics import Description
from foveate.notation import decimals, p_value
from foveate.records.labels import display_name
from foveate.records.metric import Metric

__all__ = [
    "NO_SPREAD",
    "contrast_name",
    "deviation",
    "group_name",
    "p_equation",
    "pair_name",
    "points",
    "score",
    "score_deviation",
    "spread",
]

NO_SPREAD = "the same difference in each seed: no spread to test against"
"""Why a comparison of several seeds has no p value and no interval."""
GROUPS = {"against plain": "against the baseline"}
"""What a person reads in place of the name of a group of planned comparisons in records."""


def pair_name(test: Comparison) -> str:
    """Write the pair of a comparison as "a → b"."""
    return f"{display_name(test.a)} → {display_name(test.b)}"


def contrast_name(test: Comparison) -> str:
    """Name a planned comparison by its title and its group, where the title does not name the group."""
    title, group = test.title or pair_name(test), test.group
    return title if group is None or title.startswith(f"{group} ") else f"{title}, {group_name(group)}"


def group_name(group: str) -> str:
    """Write the name of a group of planned comparisons."""
    return GROUPS.get(group, group)


def points(fraction: float | None) -> str:
    """Write a difference of fractions as signed percentage points."""
    return decimals(fraction, 2, scale=100, signed=True)


def p_equation(p: float) -> str:
    """Write a p value in a sentence: "p = 0.021", "p < 0.001"."""
    return f"p {'' if p < 0.001 else '= '}{p_value(p)}"


def deviation(described: Description, digits: int, *, scale: float = 1) -> str:
    """Write the sample standard deviation as "± 0.21"; nothing where there is none."""
    return "" if described.std is None else f"± {decimals(described.std, digits, scale=scale)}"


def spread(described: Description, digits: int, *, scale: float = 1) -> str:
    """Write mean ± sample standard deviation, or the mean alone where there is no deviation."""
    mean = decimals(described.mean, digits, scale=scale)
    return f"{mean} {deviation(described, digits, scale=scale)}".rstrip()


def score(described: Description, metric: Metric) -> str:
    """Write mean ± sample standard deviation of values of `metric`."""
    return spread(described, metric.digits, scale=metric.scale)


def score_deviation(described: Description, metric: Metric) -> str:
    """Write the sample standard deviation of values of `metric`; nothing where there is none."""
    return deviation(described, metric.digits, scale=metric.scale)
