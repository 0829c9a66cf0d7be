"""The looks at a study, in study.json: those that were planned (--until-decided), and those made by hand."""

from typing import Annotated, Literal

from pydantic import Field

from foveate.records.base import Count, Number, Share, Switch, Text, WholeRecord

__all__ = ["Level", "LookByHand", "LooksByHand", "SequentialPlan", "Spending", "Stopped"]

Spending = Literal["obrien-fleming", "pocock"]
"""How alpha is spent over the looks (see `foveate.evaluation.sequential`)."""
Stopped = Literal["decided", "max-seeds", "max-hours", "failed"]
"""Why no more seeds were added: all comparisons are decided, a budget is spent, or nothing can be paired."""


class Level(WholeRecord):
    """The nominal p values under which a comparison of so many pairs of runs is decided.

    Attributes:
        pairs: of runs.
        different: for the two-sided p value of no difference.
        equivalent: for the p value of equivalence, the larger one of two one-sided tests.
    """

    pairs: Count
    different: Number
    equivalent: Number


class SequentialPlan(WholeRecord):
    """What was planned before the first look.

    Attributes:
        first: seeds of the first look.
        seeds: all seeds that may be added, in their order, the first ones included.
        spending: how alpha is spent over the looks.
        alpha: the chance of even one wrong decision.
        comparisons: among which it is divided equally.
        paths: studies that were simulated for the levels.
        simulation_seed: of that simulation.
        levels: of each look (see `foveate.evaluation.sequential.nominal_levels`).
        stopped: why no more seeds were added; None while the study goes on.
    """

    first: Count
    seeds: Annotated[tuple[Count, ...], Field(min_length=2)]
    spending: Spending
    alpha: Share
    comparisons: Count
    paths: Count
    simulation_seed: Count
    levels: tuple[Level, ...]
    stopped: Stopped | None = None

    @property
    def max_seeds(self) -> int:
        """The number of seeds at the last look."""
        return len(self.seeds)

    def level(self, pairs: int) -> Level | None:
        """Return the level of a look at so many pairs; None if none was planned."""
        return next((one for one in self.levels if one.pairs == pairs), None)


class LookByHand(WholeRecord):
    """A report that was built before seeds were added: the seeds of its finished runs, by label."""

    runs: dict[Text, tuple[Count, ...]]

    def pairs(self, a: str, b: str) -> int:
        """Return the number of seeds that both had finished."""
        return len(set(self.runs.get(a, ())) & set(self.runs.get(b, ())))


class LooksByHand(WholeRecord):
    """The looks before the present one.

    Attributes:
        since_first: whether all looks are known: the study was begun by a version that counts them.
        earlier: the reports that were there before seeds were added.
    """

    since_first: Switch
    earlier: tuple[LookByHand, ...]

    def of(self, a: str, b: str, now: int) -> tuple[int, ...]:
        """Return the pairs of runs at each earlier look at a comparison that has `now` pairs."""
        numbers = {look.pairs(a, b) for look in self.earlier}
        return tuple(sorted(number for number in numbers if 2 <= number < now))
