"""What can be said of a study before torch is imported and anything is read: its names are known."""

from foveate.data.augmentation_names import check_augmentations, check_dense_augmentations
from foveate.data.source import check_source
from foveate.errors import RequestError
from foveate.records.metric import CLASSIFICATION, DETECTION
from foveate.studies.spec.options import unknown_option
from foveate.studies.spec.study import StudySpec

__all__ = ["check_study"]


def check_study(study: StudySpec) -> None:
    """Raise RequestError for an unknown option of a mechanism, an augmentation, or a set of images."""
    for candidate in study.attention:
        if unknown := unknown_option(candidate):
            raise RequestError(f"{candidate.label} on {study.backbone_of(candidate)}: {unknown}")
    if study.task == CLASSIFICATION.name:
        check_augmentations(study.recipe.augmentation)
    else:
        check_dense_augmentations(
            "boxes" if study.task == DETECTION.name else "masks", study.recipe.augmentation
        )
    check_source(study.data.source)
