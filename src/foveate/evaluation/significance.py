"""The one rule by which a difference counts as significant, and the outcome of a comparison."""

from enum import StrEnum

__all__ = ["ALPHA", "POWER", "Outcome", "is_significant", "outcome"]

ALPHA = 0.05
"""The level of all tests: the chance of even one false alarm in a family."""
POWER = 0.8
"""The chance at which a difference counts as detectable."""


class Outcome(StrEnum):
    """What a comparison of b with a came to.

    With a margin, a difference that is not significant is either equivalent (shown to be within the margin)
    or inconclusive; without one it is not significant.
    """

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    NOT_SIGNIFICANT = "not significant"
    UNTESTED = "untested"

    @property
    def is_difference(self) -> bool:
        """Whether a difference was shown."""
        return self in (Outcome.BETTER, Outcome.WORSE)

    @property
    def is_decided(self) -> bool:
        """Whether a difference was shown, or equivalence."""
        return self.is_difference or self is Outcome.EQUIVALENT


def is_significant(p_adjusted: float | None, alpha: float = ALPHA) -> bool:
    """Return whether a difference counts as significant: by its p value, adjusted for its family."""
    return p_adjusted is not None and p_adjusted < alpha


def outcome(
    difference: float | None,
    p_adjusted: float | None,
    alpha: float = ALPHA,
    *,
    higher_is_better: bool = True,
    equivalence_p: float | None = None,
) -> Outcome:
    """Return the outcome of a comparison from its `difference` b - a and its adjusted p value.

    `equivalence_p` is the adjusted p value of the two one-sided tests against the margin; None without one.
    """
    if difference is None or p_adjusted is None:
        return Outcome.UNTESTED
    if is_significant(p_adjusted, alpha):
        return Outcome.BETTER if (difference > 0) == higher_is_better else Outcome.WORSE
    if equivalence_p is None:
        return Outcome.NOT_SIGNIFICANT
    return Outcome.EQUIVALENT if is_significant(equivalence_p, alpha) else Outcome.INCONCLUSIVE
