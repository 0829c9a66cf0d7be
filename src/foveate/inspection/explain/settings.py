"""What `foveate explain` is asked."""

from dataclasses import dataclass
from pathlib import Path

from foveate.errors import RequestError
from foveate.evaluation.cam import check_method

__all__ = ["ExplainSettings"]


@dataclass(frozen=True)
class ExplainSettings:
    """How maps are made, of which images, and what they are scored by.

    Attributes:
        method: "gradcam++" or "gradcam".
        layer: the path of the module whose maps are weighed; None: the end of each network's last stage.
        images: a folder of images, or one; None: the test part, or of it what `boxes` and `masks` name.
        boxes: a JSON file, path of an image → [x0, y0, x1, y1].
        masks: a folder of masks, called as the images.
        mask_object: the values of the masks that are the object, such as "1" or "128-255"; None: all but 0.
        limit: at most so many images are scored, spread over the classes.
        show: so many of them are in the picture.
        road: so many of them are taken to pieces for ROAD, which asks for ten forwards each.
        batch_size: images at a time.
    """

    method: str = "gradcam++"
    layer: str | None = None
    images: Path | None = None
    boxes: Path | None = None
    masks: Path | None = None
    mask_object: str | None = None
    limit: int = 1000
    show: int = 8
    road: int = 100
    batch_size: int = 50

    def check(self) -> None:
        """Raise RequestError for a value that cannot be, naming it and the choices."""
        check_method(self.method)
        for name, least in (("limit", 1), ("show", 1), ("road", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise RequestError(
                    f"--{name.replace('_', '-')} must be a whole number of at least {least}, got {value!r}"
                )
