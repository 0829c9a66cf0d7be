"""What a deployed form of networks loses in accuracy against the same networks in eager float32.

Each network is compared with itself on the same images. Over several seeds the change is estimated for new
seeds on new images (`over_seeds_and_images`); where all of them have the same change there is no spread, no
interval and no test. Of a single network the interval is over the images (Tango's score interval), and the
test is McNemar's exact one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from foveate.evaluation.estimates import over_seeds_and_images
from foveate.evaluation.intervals import DIFFERENCE
from foveate.evaluation.significance import is_significant
from foveate.evaluation.statistics import adjust_p_values
from foveate.evaluation.within_margin import changed_over_images, difference_over_images
from foveate.records.base import JsonObject

__all__ = ["ADJUST", "Answers", "Drop", "judge_drops"]

ADJUST = "holm"
Answers = tuple[np.ndarray, np.ndarray]
"""Which images one network gives their class in eager float32 and in another form, bool (N,) each."""


@dataclass(frozen=True)
class Drop:
    """The change in accuracy from eager float32 to another form; a drop is negative.

    Attributes:
        difference: mean over the networks, a share of the images.
        interval: 95 % interval of it; None where several seeds have the same change.
        p: two-sided, of no change; None without a spread.
        p_adjusted: the same, adjusted for the mechanisms (Holm).
        over: what the interval allows for: the seeds and the images, or the images of a single network.
        lost: images whose answer became wrong, over all networks.
        gained: those whose answer became right.
        networks: number of networks.
        images: number of images of each.
    """

    difference: float
    interval: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    over: Literal["seeds and images", "images"]
    lost: int
    gained: int
    networks: int
    images: int

    @property
    def is_significant(self) -> bool:
        """Whether the change counts as significant."""
        return is_significant(self.p_adjusted)

    def is_beyond(self, margin: float) -> bool:
        """Return whether it is a significant loss of more than `margin`, a share of the images."""
        return self.is_significant and self.difference < -margin

    def to_json(self) -> JsonObject:
        """Return the drop as `--json` gives it."""
        return asdict(self)


def judge_drops(answers: Mapping[str, Sequence[Answers]]) -> dict[str, Drop]:
    """Return the drop of each mechanism, by its label, from the answers of its networks in one form."""
    drops = {label: _drop(of_networks) for label, of_networks in answers.items()}
    adjusted = adjust_p_values([drop.p for drop in drops.values()], ADJUST)
    return {
        label: replace(drop, p_adjusted=p) for (label, drop), p in zip(drops.items(), adjusted, strict=True)
    }


def _drop(answers: Sequence[Answers]) -> Drop:
    differences = np.stack([after.astype(float) - before.astype(float) for before, after in answers])
    lost, gained = int((differences < 0).sum()), int((differences > 0).sum())
    networks, images = differences.shape
    mean = float(differences.mean())
    if networks == 1:
        p = changed_over_images(lost, gained)
        interval = difference_over_images(lost, gained, images, level=0.95)
        return Drop(mean, interval, p, None, "images", lost, gained, 1, images)
    estimate = over_seeds_and_images(differences)
    bounds = None if estimate is None else estimate.interval(DIFFERENCE)
    p_different = None if estimate is None else estimate.p_different
    return Drop(mean, bounds, p_different, None, "seeds and images", lost, gained, networks, images)
