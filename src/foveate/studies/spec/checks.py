"""What can be said of a study before torch is imported and anything is read: its names are known."""

from foveate.data.augmentation_names import check_augmentations
from foveate.data.source import check_source
from foveate.errors import RequestError, unknown_name
from foveate.known_names import mechanism_options
from foveate.records.labels import BASELINE
from foveate.studies.spec.study import StudySpec

__all__ = ["check_study"]


def check_study(study: StudySpec) -> None:
    """Raise RequestError for an unknown option of a mechanism, an augmentation, or a set of images.

    The options of a class of a person's own are not known without importing it.
    """
    for candidate in study.attention:
        if candidate.name != BASELINE and not candidate.is_custom:
            known = mechanism_options(candidate.name)
            for option in candidate.options:
                if option not in known:
                    unknown = unknown_name(f"option of {candidate.name}", option, known)
                    raise RequestError(f"{candidate.label} on {study.backbone_of(candidate)}: {unknown}")
    check_augmentations(study.recipe.augmentation)
    check_source(study.data.source)
