"""The pretrained weights that the runs of a study start from, as their specs hold them."""

from pydantic import BaseModel, ConfigDict

__all__ = ["StartWeights"]


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
