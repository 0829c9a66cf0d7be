"""The detector or the segmenter of a study: what stands over its backbone, and where its attention goes."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from foveate.calls import read_call
from foveate.data.source import image_folder
from foveate.errors import RequestError, unknown_name
from foveate.models.dense.names import DETECTORS, NORMS, PARTS, SEGMENTERS
from foveate.models.dense.options import check_dense_options
from foveate.records.dense import DenseRecord
from foveate.records.metric import CLASSIFICATION, DETECTION, SEGMENTATION
from foveate.studies.spec.candidate import OptionValue, spell
from foveate.studies.spec.defaults import TASKS
from foveate.training.recipe import faults_in_words

__all__ = ["DENSE_KEYS", "DenseNetwork", "read_dense", "read_task"]

DENSE_KEYS = ("task", "detector", "segmenter", "norm", "attention_in")
"""Keys of a study file and flags that `read_task` reads."""
USUAL = {DETECTION.name: "fasterrcnn", SEGMENTATION.name: "deeplabv3plus"}
"""What stands over the backbone where only the task is known: the networks of the DMSCA article."""
KNOWN = {DETECTION.name: DETECTORS, SEGMENTATION.name: SEGMENTERS}
KEY = {DETECTION.name: "detector", SEGMENTATION.name: "segmenter"}


class DenseNetwork(BaseModel):
    """A detector or segmenter over the backbone of a study.

    Attributes:
        name: such as fasterrcnn or deeplabv3plus.
        options: of what is built, such as the number of proposals.
        norm: "batch" trains batch norms, "frozen" keeps those of the pretrained backbone, "group" replaces
            them by group norms.
        attention_in: where attention goes: to the sites of the backbone, to the outputs of the neck (the FPN,
            or the decoder of a segmenter), or to both.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    options: dict[str, OptionValue] = {}
    norm: Literal["batch", "frozen", "group"] = "batch"
    attention_in: Literal["backbone", "neck", "both"] = "backbone"

    @property
    def label(self) -> str:
        """The network as it is written: `fasterrcnn(proposals=300)`."""
        given = ",".join(f"{key}={spell(value)}" for key, value in self.options.items())
        return f"{self.name}({given})" if given else self.name

    def to_record(self) -> DenseRecord:
        """Return what the record of a study says of it."""
        return DenseRecord(name=self.name, label=self.label, norm=self.norm, attention_in=self.attention_in)


def read_task(settings: Mapping[str, Any], *, pretrained: bool) -> tuple[str, DenseNetwork | None]:
    """Return the name of the task, and the detector or segmenter if it needs one.

    The task is given, or that of the detector or segmenter that is given, or found from the folder of the
    data: images with boxes, or with masks.

    Raises:
        RequestError: an unknown name (the nearest is named), or keys that do not go together.
    """
    given = _given(settings)
    task = settings.get("task") or next(iter(given), None) or _task_of_data(str(settings["data"]))
    if task not in TASKS:
        raise RequestError(unknown_name("task", str(task), TASKS))
    if given and task not in given:
        (other,) = given
        raise RequestError(f"a {KEY[other]} is for {other}, and the task is {task}: omit one of the two")
    keys = [key for key in ("norm", "attention_in") if settings.get(key)]
    if task == CLASSIFICATION.name:
        if keys:
            raise RequestError(f"{keys[0]} is for detectors and segmenters: give --detector or --segmenter")
        return task, None
    return task, _read_network(task, given.get(task, USUAL[task]), settings, pretrained=pretrained)


def read_dense(settings: Mapping[str, Any], *, pretrained: bool) -> DenseNetwork | None:
    """Return the detector or segmenter that the keys name; None if they name neither.

    Raises:
        RequestError: as `read_task`.
    """
    given = _given(settings)
    for task, written in given.items():
        return _read_network(task, written, settings, pretrained=pretrained)
    return None


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the detector or the segmenter that is named, by its task; RequestError for both."""
    given = {task: settings[key] for task, key in KEY.items() if settings.get(key)}
    if len(given) > 1:
        raise RequestError("a detector and a segmenter were named: give one of the two")
    return given


def _read_network(task: str, written: Any, settings: Mapping[str, Any], *, pretrained: bool) -> DenseNetwork:
    keys = [key for key in ("norm", "attention_in") if settings.get(key)]
    if not isinstance(written, str):
        raise RequestError(f"{KEY[task]} {written!r}: expected a name, for example {USUAL[task]}")
    name, options = read_call(written, KEY[task])
    if name not in KNOWN[task]:
        raise RequestError(unknown_name(KEY[task], name, KNOWN[task]))
    for key, choices in (("norm", NORMS), ("attention_in", PARTS)):
        if key in keys and settings[key] not in choices:
            raise RequestError(unknown_name(key, str(settings[key]), choices))
    check_dense_options(name, options)
    fields = {"norm": "frozen" if pretrained else "batch"} | {key: settings[key] for key in keys}
    try:
        return DenseNetwork(name=name, options=options, **fields)
    except ValidationError as error:
        raise RequestError(f"{KEY[task]} {written}: {faults_in_words(error)}") from error


def _task_of_data(source: str) -> str:
    root = image_folder(source)
    if root is None:
        return CLASSIFICATION.name
    from foveate.data.dense.boxes import find_boxes
    from foveate.data.dense.masks import find_masks

    if find_boxes(root):
        return DETECTION.name
    return SEGMENTATION.name if find_masks(root) else CLASSIFICATION.name
