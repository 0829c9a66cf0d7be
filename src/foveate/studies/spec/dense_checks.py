"""Refuse settings of a study that belong to another task; this module imports no torch."""

from collections.abc import Iterator

from foveate.data.source import image_folder
from foveate.errors import RequestError
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION, DETECTION, SEGMENTATION
from foveate.studies.spec.study import StudySpec, is_given

__all__ = ["check_task"]

OF_TASK = {
    "upscale": (CLASSIFICATION.name,),
    "image_column": (CLASSIFICATION.name,),
    "label_column": (CLASSIFICATION.name,),
    "refuse_invalid": (DETECTION.name,),
    "ignored_label": (SEGMENTATION.name,),
    "class_names": (SEGMENTATION.name,),
}
"""The tasks that read a key of the images; other keys belong to all."""
HOLDS = {DETECTION.name: "boxes", SEGMENTATION.name: "masks"}


def check_task(study: StudySpec) -> None:
    """Raise RequestError for a setting that the task of `study` would ignore, or cannot do."""
    for fault in _faults(study):
        raise RequestError(fault)


def _faults(study: StudySpec) -> Iterator[str]:
    task, recipe = study.task, study.recipe
    for key, tasks in OF_TASK.items():
        if is_given(getattr(study.data, key)) and task not in tasks:
            flag = key.replace("_", "-")
            yield f"{key} (--{flag}) is for a {tasks[0]}, and this is a {task}: leave it out"
    if task != SEGMENTATION.name:
        for key, usual in (("loss", "cross_entropy"), ("class_weights", "none")):
            if (given := getattr(recipe, key)) != usual:
                yield f"{key} = {given} is for a segmentation, and this is a {task}: leave it out"
    if study.dense is None:
        return
    if recipe.label_smoothing:
        yield (
            f"label_smoothing = {recipe.label_smoothing:g} is for a classification, and this is a {task}: "
            "give label_smoothing=0"
        )
    if image_folder(study.data.source) is None:
        yield (
            f"data = {study.data.source}: a {task} takes a folder of images with {HOLDS[task]}, and this is "
            "no folder"
        )
    if study.dense.norm == "frozen" and not study.pretrained:
        yield (
            "norm = frozen keeps the norms of pretrained weights, and this study starts without any: give "
            "--pretrained or --weights FILE, or --norm batch or group"
        )
    if task == DETECTION.name:
        yield from _faults_of_detection(study)
    if study.dense.attention_in == "neck":
        yield from _faults_of_neck(study)


def _faults_of_detection(study: StudySpec) -> Iterator[str]:
    if study.recipe.monitor == "loss":
        yield (
            "monitor = loss: a detector has no loss of the validation part, because it gives one in training "
            "only: give monitor=accuracy, which is mAP"
        )
    if study.recipe.compile:
        yield (
            "compile = true: detectors choose boxes by their values, and torch.compile cannot follow that: "
            "give compile=false"
        )


def _faults_of_neck(study: StudySpec) -> Iterator[str]:
    if study.replace_own:
        yield (
            "replace_own (--replace-own) replaces attention of the backbone, and attention_in = neck puts "
            "none there: give --attention-in backbone or both, or leave out --replace-own"
        )
    for candidate in study.attention:
        placed = [key for key in ("where", "stages", "at", "exclude") if getattr(candidate, key) is not None]
        if candidate.name != BASELINE and placed:
            yield (
                f"{candidate.label}: {placed[0]} chooses places in the backbone, and attention_in = neck "
                f"puts none there: leave out {placed[0]}, or give --attention-in backbone or both"
            )
