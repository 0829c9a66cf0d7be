"""What guessing gets on the test part of a classification, and whether a network does better."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from foveate.evaluation.significance import ALPHA
from foveate.records.run import ClassScores

__all__ = ["Guessing", "guessing"]


@dataclass(frozen=True)
class Guessing:
    """The accuracies that take no look at an image.

    Attributes:
        chance: of naming one of the classes at random, 1 over their number.
        majority: of always naming the most frequent class: its share of the test images.
        majority_class: the name of that class, the first of several.
        images: number of test images.
    """

    chance: float
    majority: float
    majority_class: str
    images: int

    @property
    def best(self) -> float:
        """The better of the two."""
        return max(self.chance, self.majority)

    def is_beaten_by(self, accuracy: float) -> bool:
        """Return whether `accuracy` is more than the better guess makes by chance on so many images.

        The test is one-sided, exact (binomial), at the level of all tests. The accuracy may be a mean over
        seeds: it is taken for that of one network, because all seeds are tested on the same images.
        """
        right = round(accuracy * self.images)
        return float(stats.binom.sf(right - 1, self.images, self.best)) < ALPHA


def guessing(per_class: Sequence[ClassScores]) -> Guessing | None:
    """Return what guessing gets, from the scores of one run by class; None without test images."""
    images = sum(scores.support for scores in per_class)
    if not images:
        return None
    most = max(per_class, key=lambda scores: scores.support)
    return Guessing(1 / len(per_class), most.support / images, most.name, images)
