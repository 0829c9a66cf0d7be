"""Names of detectors, segmenters, norms and parts, and what the calls that build them are called."""

from foveate.errors import RequestError, unknown_name
from foveate.models.backbones.names import DETECTION, SEGMENTATION

__all__ = [
    "DETECTION",
    "DETECTORS",
    "NORMS",
    "PARTS",
    "SEGMENTATION",
    "SEGMENTERS",
    "check_detector",
    "check_norm",
    "check_part",
    "check_segmenter",
]

DETECTORS = ("fasterrcnn", "fcos", "retinanet")
SEGMENTERS = ("deeplabv3", "deeplabv3plus", "fpn", "unet")
NORMS = ("batch", "frozen", "group")
"""Batch norms as the network has them; frozen in the backbone; group norms in their place, everywhere."""
PARTS = ("backbone", "neck", "both")
"""Where attention goes: into the backbone, behind it (the pyramid, the decoder), or into both."""


def check_detector(name: str) -> None:
    """Raise RequestError, with the choices, unless `name` is that of a detector."""
    _check("detector", name, DETECTORS)


def check_segmenter(name: str) -> None:
    """Raise RequestError, with the choices, unless `name` is that of a segmenter."""
    _check("segmenter", name, SEGMENTERS)


def check_norm(name: str) -> None:
    """Raise RequestError, with the choices, unless `name` is that of a norm."""
    _check("norm", name, NORMS)


def check_part(name: str) -> None:
    """Raise RequestError, with the choices, unless `name` is that of a part."""
    _check("part", name, PARTS)


def _check(kind: str, given: str, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise RequestError(unknown_name(kind, str(given), choices))
