"""The pretrained weights that the runs of a study start from, as their specs hold them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from foveate.errors import RequestError

__all__ = ["StartWeights", "read_pretrained"]


class StartWeights(BaseModel):
    """A file of weights of one backbone, and how the images that it is for are normalised.

    Attributes:
        path: of the file on this machine; no run's hash depends on it.
        sha256: of the file.
        mean: of each channel of the images that the weights were trained on, in 0..1.
        std: likewise.
        image_size: side in pixels of those images, to which images of several sizes are resized by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_size: int


def read_pretrained(settings: Mapping[str, Any]) -> bool:
    """Return whether the study starts from trained weights: it says so, or it names a file of them."""
    said = settings.get("pretrained")
    if said is not None and not isinstance(said, bool):
        raise RequestError(
            f"pretrained = {said!r}: expected true or false; a file of weights goes to weights"
        )
    if settings.get("weights") is None:
        return bool(said)
    if said is False:
        raise RequestError(
            f"the study names weights, {settings['weights']}, and pretrained is false: omit one of the two"
        )
    if settings.get("backbones"):
        raise RequestError(
            "weights are those of one backbone: leave them out with backbones, and give pretrained instead"
        )
    return True
