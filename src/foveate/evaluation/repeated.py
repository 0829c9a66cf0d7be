"""How p values of a comparison are adjusted for the other looks at it, planned ones or looks by hand."""

from dataclasses import dataclass

from foveate.evaluation.sequential import p_over_looks
from foveate.records.sequential import Level

__all__ = ["RepeatedTests"]


@dataclass(frozen=True)
class RepeatedTests:
    """The looks at a comparison.

    Attributes:
        looks: pairs of runs at each look that was made by hand, the present one included.
        is_planned: whether the study was planned look by look.
        level: that of the present look, if it was planned; None before the first one.
    """

    looks: tuple[int, ...] = ()
    is_planned: bool = False
    level: Level | None = None

    def adjust(self, p: float, alpha: float, tails: int) -> float:
        """Return a p value with `tails` 1 or 2, adjusted for the looks.

        Of a planned look it is p times `alpha` over the level: it is under `alpha` if and only if p is under
        the level, which is adjusted for the number of comparisons, too.
        """
        if not self.is_planned:
            return p_over_looks(p, self.looks, tails=tails) if len(self.looks) > 1 else p
        if self.level is None:
            return 1.0
        level = float(self.level.different if tails == 2 else self.level.equivalent)
        return min(1.0, p * alpha / level) if level else 1.0
