"""Checks of the options of mechanisms: counts, kernel sizes, numbers, excluded parts, bottlenecks."""

import math
from collections.abc import Sequence
from typing import Any

from foveate.errors import RequestError

Options = dict[str, Any]
"""Options of a mechanism's constructor, which checks them; in a file their values are those of JSON."""

LARGEST_COUNT = 1 << 16
LARGEST_KERNEL = 255
"""The largest side of a kernel, and distance of its taps, in pixels; beyond it memory runs out."""


def check_count(name: str, value: int, *, at_most: int = LARGEST_COUNT) -> int:
    """Return `value` if it is a whole number from 1 to `at_most`, else raise RequestError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RequestError(f"{name} must be a whole number of at least 1, got {value!r}")
    if value > at_most:
        raise RequestError(f"{name} must be at most {at_most}, got {value}")
    return value


def check_kernel_size(name: str, value: int) -> int:
    """Return `value` if it is an odd whole number, which keeps a map's size, else raise RequestError."""
    if check_count(name, value, at_most=LARGEST_KERNEL) % 2 == 0:
        raise RequestError(
            f"{name} must be odd to keep the map's size, got {value}: pass {value - 1} or {value + 1}"
        )
    return value


def check_kernel_sizes(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Return `values` as a tuple if they are one or more odd whole numbers, else raise RequestError."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise RequestError(
            f"{name} must be a sequence of odd whole numbers, such as (3, 5, 7), got {values!r}"
        )
    sizes = tuple(check_kernel_size(name, value) for value in values)
    if not sizes:
        raise RequestError(f"{name} must name at least one kernel, such as (3, 5, 7), got none")
    return sizes


def check_positive(name: str, value: float, otherwise: str = "") -> float:
    """Return `value` if it is a finite number above 0, else raise RequestError.

    The error also names `otherwise`, what may be given instead.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise RequestError(f"{name} must be a finite number above 0{otherwise}, got {value!r}")
    return value


def check_share(name: str, value: float) -> float:
    """Return `value` if it is a number between 0 and 1, both excluded, else raise RequestError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
        raise RequestError(f"{name} must be a number between 0 and 1, got {value!r}")
    return value


def check_part(part: str, present: bool, **options: tuple[object, object]) -> None:
    """Raise RequestError for a `present` that is no boolean, and for options of a part that is excluded.

    `options` are those of the part, each with the given value and its default, which is always accepted.
    """
    if not isinstance(present, bool):
        raise RequestError(f"{part} must be True, or False to exclude it, got {present!r}")
    for option, (given, default) in options.items():
        if not present and given != default:
            raise RequestError(f"{option}={given!r} belongs to {part}, which {part}=False excludes")


def hidden_channels(channels: int, reduction: int) -> int:
    """Return the width C/r of a bottleneck over `channels` channels."""
    if check_count("reduction", reduction) > check_count("channels", channels):
        raise RequestError(
            f"reduction={reduction} leaves none of {channels} channels: pass reduction <= {channels}"
        )
    return channels // reduction
