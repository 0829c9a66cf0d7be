"""The settings of `foveate explain`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foveate.errors import check_at_least
from foveate.evaluation.cam_methods import METHODS, check_method
from foveate.studies.spec.completers import one_of
from foveate.studies.spec.flag_groups import HEAT_MAPS, IMAGES, OBJECTS

__all__ = ["ExplainSettings"]


@dataclass(frozen=True, kw_only=True)
class ExplainSettings:
    """How heat maps are made, of which images, and how they are scored.

    Attributes:
        method: How the heat maps are made: gradcam++, gradcam, hirescam or eigencam; by default gradcam++,
            for detectors hirescam, for segmenters gradcam.
        layer: Module whose output the heat maps explain, by its path in the network; by default the end of
            the last stage.
        images: Image, or folder of images, to explain; by default the test images.
        boxes: JSON file of the boxes around the objects: path of an image → [x0, y0, x1, y1]; by default no
            object is known.
        masks: Folder of object masks that are named as the images; by default no object is known.
        mask_object: Mask values that are the object, such as 1, or 1,2, or 128-255; by default all but 0.
        limit: Largest number of images, spread over the classes.
        show: Number of images in the picture.
        road: Number of images to score by ROAD, which takes ten forward passes for each.
        batch_size: Images per forward pass.
    """

    method: Annotated[str | None, Parameter(group=HEAT_MAPS, completer=one_of(METHODS))] = None
    layer: Annotated[str | None, Parameter(group=HEAT_MAPS)] = None
    images: Annotated[Path | None, Parameter(group=IMAGES)] = None
    boxes: Annotated[Path | None, Parameter(group=OBJECTS)] = None
    masks: Annotated[Path | None, Parameter(group=OBJECTS)] = None
    mask_object: Annotated[str | None, Parameter(group=OBJECTS)] = None
    limit: Annotated[int, Parameter(group=IMAGES)] = 1000
    show: Annotated[int, Parameter(group=HEAT_MAPS)] = 8
    road: Annotated[int, Parameter(group=HEAT_MAPS)] = 100
    batch_size: Annotated[int, Parameter(parse=False)] = 50

    def check(self) -> None:
        """Raise RequestError for a value that cannot be used, naming it and the choices."""
        if self.method is not None:
            check_method(self.method)
        check_at_least(self, limit=1, show=1, road=0, batch_size=1)
