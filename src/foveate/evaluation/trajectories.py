"""How the difference of two candidates runs over the epochs: from when it stays, and whether it still moves.

All values are of the validation part, paired by seed. A gain is a difference to the baseline in the direction
of the metric: above zero the candidate is the better one.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveate.evaluation.band import MOST_POINTS, simultaneous_band
from foveate.evaluation.intervals import Bounds
from foveate.evaluation.significance import Outcome
from foveate.evaluation.statistics import paired_test, rounding_of
from foveate.evaluation.training_end import Movement, Pace, measure_pace
from foveate.records.base import JsonObject

__all__ = ["Course", "Stretch", "Trajectory", "trajectory"]


class Course(StrEnum):
    """Where a candidate stands at the end of the training, and where it is going."""

    AHEAD = "ahead"
    GAINING = "gaining"
    CATCHING_UP = "catching up"
    NOT_SHOWN = "no difference shown"
    FALLING_BACK = "falling back"
    LOSING = "losing"
    BEHIND = "behind"
    UNTESTED = "untested"


@dataclass(frozen=True)
class Stretch:
    """Consecutive epochs whose gains are averaged.

    Attributes:
        first: its first epoch.
        last: its last epoch.
        gain: the mean over its epochs and all seeds.
        standard_error: of `gain`, from the spread of the seeds in this stretch alone.
        band: of the true gain, for all stretches at once, at 95 %. None without a spread.
    """

    first: int
    last: int
    gain: float
    standard_error: float | None
    band: tuple[float, float] | None

    @property
    def side(self) -> int:
        """1 if the whole band lies above zero, -1 if it lies below, else 0."""
        return 0 if self.band is None else int(self.band[0] > 0) - int(self.band[1] < 0)


@dataclass(frozen=True)
class Trajectory:
    """The gain of a candidate over the baseline by epoch.

    Attributes:
        seeds: number of pairs of runs.
        epochs: those that all of these runs have.
        longest: number of epochs of the longest run.
        gains: the mean over the seeds after each epoch.
        standard_errors: of `gains`, each for itself.
        stretches: at most ten, of nearly equal length; without seeds there is none.
        from_epoch: the first epoch from which the whole band stays on one side of zero, to the end.
        mean_from_epoch: the first epoch from which the mean of each stretch stays there.
        pace: None of a single epoch.
    """

    seeds: int
    epochs: tuple[int, ...]
    longest: int
    gains: tuple[float, ...]
    standard_errors: tuple[float | None, ...]
    stretches: tuple[Stretch, ...]
    from_epoch: int | None
    mean_from_epoch: int | None
    pace: Pace | None

    @property
    def end(self) -> Stretch:
        """The last stretch."""
        return self.stretches[-1]

    @property
    def is_cut(self) -> bool:
        """Whether some of the runs have epochs that others lack."""
        return self.longest > len(self.epochs)

    @property
    def movement(self) -> Movement:
        """Whether the gain still moves at the end."""
        return Movement.UNTESTED if self.pace is None else self.pace.movement

    @property
    def outcome(self) -> Outcome:
        """What the band says of the last stretch."""
        if self.end.band is None:
            return Outcome.UNTESTED
        return {1: Outcome.BETTER, -1: Outcome.WORSE, 0: Outcome.NOT_SIGNIFICANT}[self.end.side]

    @property
    def course(self) -> Course:
        """Where the candidate stands and is going: a movement counts before the place."""
        if self.movement is Movement.RISING:
            return Course.CATCHING_UP if self.end.gain < 0 else Course.GAINING
        if self.movement is Movement.FALLING:
            return Course.FALLING_BACK if self.end.gain > 0 else Course.LOSING
        return {
            Outcome.BETTER: Course.AHEAD,
            Outcome.WORSE: Course.BEHIND,
            Outcome.NOT_SIGNIFICANT: Course.NOT_SHOWN,
            Outcome.UNTESTED: Course.UNTESTED,
        }[self.outcome]

    def to_json(self) -> JsonObject:
        """Return the trajectory as `--json` gives it."""
        return {**asdict(self), "outcome": self.outcome, "movement": self.movement, "course": self.course}


def trajectory(
    baseline: ArrayLike,
    candidate: ArrayLike,
    epochs: Sequence[int],
    *,
    sign: int = 1,
    bounds: Bounds | None = None,
    longest: int | None = None,
) -> Trajectory:
    """Return the trajectory of `candidate` against `baseline`.

    Args:
        baseline: the validation values, shape (seeds, epochs), with at least one of each.
        candidate: the same, with the same seed in the same row.
        epochs: the numbers of the epochs, ascending.
        sign: -1 if a lower value is better.
        bounds: of the values.
        longest: number of epochs of the longest run; by default that of `epochs`.

    Raises:
        ValueError: the shapes do not match, or are empty.
    """
    a, b = (sign * np.asarray(values, dtype=float) for values in (baseline, candidate))
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != len(epochs) or not a.size:
        raise ValueError(
            f"values of {len(epochs)} epochs need the shape (seeds, {len(epochs)}) for both candidates, and "
            f"at least one seed and epoch, got {a.shape} and {b.shape}"
        )
    signed = bounds if bounds is None or sign > 0 else Bounds(-bounds.high, -bounds.low)
    stretches = _stretches(a, b, epochs, signed)
    rounding = rounding_of(np.concatenate([a, b]), signed)
    pace = measure_pace(b - a, epochs, stretches[-1].gain, rounding=rounding) if len(epochs) > 1 else None
    tests = [paired_test(*values, signed) for values in zip(a.T, b.T, strict=True)]
    return Trajectory(
        seeds=len(a),
        epochs=tuple(epochs),
        longest=longest or len(epochs),
        gains=tuple(test.difference or 0.0 for test in tests),
        standard_errors=tuple(_error(test.std, test.n) for test in tests),
        stretches=stretches,
        from_epoch=_stays([one.side for one in stretches], stretches),
        mean_from_epoch=_stays([int(np.sign(one.gain)) for one in stretches], stretches),
        pace=pace,
    )


def _stretches(
    a: NDArray[np.float64], b: NDArray[np.float64], epochs: Sequence[int], bounds: Bounds | None
) -> tuple[Stretch, ...]:
    """Average over at most `MOST_POINTS` stretches; the first ones are longer by one where it must be."""
    parts = np.array_split(np.arange(len(epochs)), min(len(epochs), MOST_POINTS))
    tests = [paired_test(a[:, part].mean(axis=1), b[:, part].mean(axis=1), bounds) for part in parts]
    gains = [test.difference or 0.0 for test in tests]
    band: list[tuple[float, float] | None] = [None] * len(parts)
    if len(a) > 1:
        stds = [test.std or 0.0 for test in tests]
        band = simultaneous_band(gains, stds, len(a), bounds and bounds.of_differences)
    return tuple(
        Stretch(epochs[part[0]], epochs[part[-1]], gain, _error(test.std, test.n), of_part)
        for part, gain, test, of_part in zip(parts, gains, tests, band, strict=True)
    )


def _stays(sides: Sequence[int], stretches: Sequence[Stretch]) -> int | None:
    """Return the first epoch from which all sides are that of the end; None if the end has none."""
    if not sides[-1]:
        return None
    others = [place for place, side in enumerate(sides) if side != sides[-1]]
    return stretches[others[-1] + 1 if others else 0].first


def _error(std: float | None, n: int) -> float | None:
    return None if std is None else std / math.sqrt(n)
