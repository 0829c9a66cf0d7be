"""The detector or segmenter of a study, as its record describes it."""

from typing import Literal

from foveate.records.base import Record, Text

__all__ = ["DenseRecord"]

TITLES = {
    "fasterrcnn": "Faster R-CNN",
    "fcos": "FCOS",
    "retinanet": "RetinaNet",
    "deeplabv3": "DeepLabV3",
    "deeplabv3plus": "DeepLabV3+",
    "fpn": "FPN",
    "unet": "U-Net",
}


class DenseRecord(Record):
    """What stands over the backbone of a study.

    Attributes:
        name: such as fasterrcnn or deeplabv3plus.
        label: the name with its options, as it was written.
        norm: "batch", "frozen" or "group".
        attention_in: where attention is: "backbone", "neck" or "both".
    """

    name: Text
    label: Text
    norm: Literal["batch", "frozen", "group"] = "batch"
    attention_in: Literal["backbone", "neck", "both"] = "backbone"

    @property
    def title(self) -> str:
        """The name as articles write it: Faster R-CNN."""
        return TITLES.get(self.name, self.name)
