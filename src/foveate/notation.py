"""Format numbers and names for people: on pages and terminals, in Markdown and LaTeX."""

from collections.abc import Sequence

__all__ = [
    "NOTHING",
    "chance",
    "count",
    "decimals",
    "interval",
    "listing",
    "magnitude",
    "p_value",
    "short_p",
    "signed_percent",
]

NOTHING = "–"
"""Written in place of a missing number."""


def decimals(value: float | None, digits: int, *, scale: float = 1, signed: bool = False) -> str:
    """Write `value` times `scale` with a true minus sign, and with `signed` also a plus sign."""
    if value is None:
        return NOTHING
    return f"{scale * value:{'+' * signed}.{digits}f}".replace("-", "−")


def interval(bounds: Sequence[float] | None, digits: int, *, scale: float = 1) -> str:
    """Write an interval as "low to high", because a dash could be read as a minus sign."""
    if bounds is None:
        return NOTHING
    return " to ".join(decimals(bound, digits, scale=scale) for bound in bounds)


def signed_percent(percent: float | None) -> str:
    """Write a change in per cent: two digits under 1 %, one under 100 %, none above."""
    if percent is None:
        return NOTHING
    digits = 2 if 0 < abs(percent) < 0.995 else 1 if abs(percent) < 99.95 else 0
    return f"{decimals(percent, digits, signed=True)} %"


def p_value(p: float | None) -> str:
    """Write a p value with three decimals, or as "< 0.001"."""
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def chance(probability: float) -> str:
    """Write a probability in whole per cent, without the sign: "97", "over 99", "under 1"."""
    percent = 100 * probability
    return "over 99" if percent > 99.5 else "under 1" if percent < 0.5 else f"{percent:.0f}"


def short_p(p: float) -> str:
    """Write a p value, or a level, with two significant digits, however small it is."""
    return f"{p:.2g}" if p >= 0.0001 or not p else f"{p:.0e}"


def magnitude(value: float | None) -> str:
    """Write a number with three significant digits and k, M, G or T."""
    if value is None:
        return NOTHING
    for unit in ("", " k", " M", " G"):
        if abs(value) < 999.5:
            return f"{value:.0f}{unit}" if unit == "" or abs(value) >= 99.95 else f"{value:#.3g}{unit}"
        value /= 1000
    return f"{value:#.3g} T"


def count(number: int, noun: str) -> str:
    """Write a number and its noun: "1 seed", "3 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listing(names: Sequence[str], conjunction: str = "and") -> str:
    """Write names as "a", "a and b" or "a, b and c"."""
    return f" {conjunction} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def milliseconds(value: float) -> str:
    """Write milliseconds with about three significant digits."""
    size = abs(value)
    return decimals(value, 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.0995 else 3)


def ratio_range(bounds: tuple[float, float] | None) -> str:
    """Write a range of ratios as "1.05–1.08"; ratios have no minus signs."""
    return "unknown" if bounds is None else "–".join(f"{bound:.2f}" for bound in bounds)
