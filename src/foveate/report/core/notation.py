"""How numbers and names are written, wherever a person reads them: page, console, Markdown, LaTeX."""

from typing import Any

from foveate.records.labels import BASELINE

__all__ = [
    "NOTHING",
    "NO_SPREAD",
    "contrast_name",
    "count",
    "decimals",
    "detectable",
    "deviation",
    "display_name",
    "interval",
    "listing",
    "magnitude",
    "p_value",
    "points",
    "signed_percent",
    "spread",
]

NOTHING = "–"
"""Stands where a number cannot be given."""
NO_SPREAD = "the same difference in each seed: no spread to test against"
"""Why a comparison of several seeds has no p value and no interval."""


def display_name(label: str) -> str:
    """Write the label of the backbone without attention as "plain"."""
    return "plain" if label == BASELINE else label


def contrast_name(test: dict[str, Any]) -> str:
    """Name a planned comparison by what it is of and its group, where the first does not say the second."""
    title, group = test["title"], test["group"]
    return title if title.startswith(f"{group} ") else f"{title}, {group}"


def detectable(fraction: float | None) -> str:
    """Write the smallest difference that would likely be shown in points; there is none over 100."""
    if fraction is None:
        return NOTHING
    return f"{100 * fraction:.2f}" if fraction < 1 else "none"


def decimals(value: float | None, digits: int, *, scale: float = 1) -> str:
    """Write `value` times `scale`, with a true minus sign."""
    return NOTHING if value is None else f"{scale * value:.{digits}f}".replace("-", "−")


def points(fraction: float | None) -> str:
    """Write a difference of accuracies as signed percentage points."""
    return NOTHING if fraction is None else f"{100 * fraction:+.2f}".replace("-", "−")


def signed_percent(percent: float | None) -> str:
    """Write a change in per cent: two digits under 1 %, one under 100 %, none above."""
    if percent is None:
        return NOTHING
    digits = 2 if 0 < abs(percent) < 0.995 else 1 if abs(percent) < 99.95 else 0
    return f"{percent:+.{digits}f} %".replace("-", "−")


def p_value(p: float | None) -> str:
    """Write a p value with three digits behind the point, or as "< 0.001"."""
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def magnitude(value: float | None) -> str:
    """Write a number with three significant digits and k, M, G or T."""
    if value is None:
        return NOTHING
    for unit in ("", " k", " M", " G"):
        if abs(value) < 999.5:
            return f"{value:.0f}{unit}" if unit == "" or abs(value) >= 99.95 else f"{value:#.3g}{unit}"
        value /= 1000
    return f"{value:#.3g} T"


def deviation(described: dict[str, Any], digits: int, *, scale: float = 1) -> str:
    """Write the sample standard deviation as "± 0.21", or nothing where there is none."""
    return "" if described["std"] is None else f"± {decimals(described['std'], digits, scale=scale)}"


def spread(described: dict[str, Any], digits: int, *, scale: float = 1) -> str:
    """Write mean ± sample standard deviation, or the mean alone where there is no deviation."""
    mean = decimals(described["mean"], digits, scale=scale)
    return f"{mean} {deviation(described, digits, scale=scale)}".rstrip()


def interval(bounds: list[float] | None, digits: int, *, scale: float = 1) -> str:
    """Write an interval as "low to high": a dash would collide with minus signs."""
    if bounds is None:
        return NOTHING
    return " to ".join(decimals(bound, digits, scale=scale) for bound in bounds)


def count(number: int, noun: str) -> str:
    """Write a number and its noun, "1 seed", "3 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listing(names: list[str], conjunction: str = "and") -> str:
    """Write names as "a", "a and b" or "a, b and c"."""
    return f" {conjunction} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
