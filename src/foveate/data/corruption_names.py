"""Names of corruptions: the 15 common ones, and Gaussian noise of a stated σ; it imports no torch."""

import re
from decimal import Decimal

from foveate.errors import RequestError, unknown_name
from foveate.records.robustness import COMMON

__all__ = ["ARTICLE", "LEAST_SIGMA", "check_corruption", "noise_name", "noise_sigma"]

ARTICLE = ("noise_15", "noise_25", "motion_blur", "jpeg_compression")
"""The corruptions that the DMSCA article measures."""

LEAST_SIGMA = 0.1
"""Of 255 grey levels; weaker noise is lost when values are rounded to 8 bits."""

NOISE = re.compile(r"noise_(\d+(?:\.\d+)?)")


def noise_sigma(name: str) -> float | None:
    """Return σ, in units of 1/255, of a corruption named noise_σ (`noise_15`), or None for other names.

    Raises:
        RequestError: σ is not from 0.1 to 255.
    """
    found = NOISE.fullmatch(name)
    if found is None:
        return None
    sigma = float(found[1])
    if not LEAST_SIGMA <= sigma <= 255:
        raise RequestError(f"corruption {name}: σ must be from {LEAST_SIGMA} to 255, of 255 grey levels")
    return sigma


def noise_name(sigma: float) -> str:
    """Return the only name of Gaussian noise of this σ: "noise_15" for 15, 15.0 and 015."""
    return f"noise_{Decimal(str(float(sigma))).normalize():f}"


def check_corruption(name: str, severity: int | None) -> None:
    """Validate name and severity; Gaussian noise of a stated σ has no severity (None).

    Raises:
        RequestError: an unknown name, or a severity that is not 1 to 5.
    """
    if noise_sigma(name) is not None:
        if severity is not None:
            raise RequestError(
                f"corruption {name} states its strength and has no severity: expected None, got {severity}"
            )
        return
    if name not in COMMON:
        raise RequestError(
            unknown_name("corruption", name, COMMON)
            + " Gaussian noise of a stated σ, of 255, is written noise_σ: noise_15."
        )
    if isinstance(severity, bool) or not isinstance(severity, int) or not 1 <= severity <= 5:
        raise RequestError(f"severity of {name} must be 1, 2, 3, 4 or 5, got {severity!r}")
