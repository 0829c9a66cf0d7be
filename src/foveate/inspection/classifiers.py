"""What is measured on networks that classify alone."""

from collections.abc import Sequence

from foveate.errors import RequestError
from foveate.inspection.trained import Trained
from foveate.records.metric import CLASSIFICATION

__all__ = ["check_classifiers"]


def check_classifiers(trained: Sequence[Trained], what: str, reason: str) -> None:
    """Raise RequestError if one of the networks does not classify.

    Args:
        what: that was asked for, such as "foveate look".
        reason: why it needs a class for each image, a clause.
    """
    for one in trained:
        if one.task != CLASSIFICATION.name:
            raise RequestError(
                f"{what} is for networks that classify: {reason}, and {one.name} is for {one.task}. "
                "foveate explain shows where such networks look, and foveate compare tests them"
            )
