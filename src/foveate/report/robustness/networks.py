"""The networks of a robustness record with their rows, and the conditions that were measured."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from foveate.records.robustness import (
    CLEAN,
    AttackRow,
    Condition,
    ConditionRow,
    RobustnessRecord,
)
from foveate.report.robustness.summary import Done, Progress

__all__ = ["Measured", "Network", "Score", "find_measured", "mean_of_all", "minus"]

Score = Callable[[ConditionRow], float | None]
"""A score of a row, such as its accuracy."""


@dataclass(frozen=True)
class Network:
    """A network and its rows: by corruption and severity, and by attack and ε."""

    label: str
    seed: int | None
    conditions: dict[Condition, ConditionRow] = field(default_factory=dict)
    attacks: dict[tuple[str, float | None], AttackRow] = field(default_factory=dict)

    def score(self, condition: Condition, of: Score) -> float | None:
        """Return a score under a condition; None where it was not measured."""
        row = self.conditions.get(condition)
        return None if row is None else of(row)

    def mean_score(self, conditions: Iterable[Condition], of: Score) -> float | None:
        """Return the mean of a score over conditions; None where one is missing."""
        return mean_of_all([self.score(condition, of) for condition in conditions])


@dataclass(frozen=True)
class Measured:
    """The contents of a record.

    Attributes:
        networks: those with a row.
        severities: of each corruption whose requested severities are all there.
        done: how much of what was asked for is there. A condition is there once any network was measured: a
            network that was excluded is named elsewhere.
    """

    networks: list[Network]
    severities: dict[str, list[int | None]]
    done: Done

    def of(self, corruption: str) -> list[Condition]:
        """Return the conditions of a corruption."""
        return [(corruption, severity) for severity in self.severities[corruption]]


def find_measured(record: RobustnessRecord) -> Measured:
    """Return the contents of `record`."""
    named = {one.name: Network(one.label, one.seed) for one in record.networks}
    for row in record.corruption_rows:
        if network := named.get(row.key.name):
            network.conditions[row.key.corruption, row.key.severity] = row
    for attacked in record.attack_rows:
        if network := named.get(attacked.key.name):
            network.attacks[attacked.key.attack, attacked.key.eps] = attacked
    networks = [network for network in named.values() if network.conditions or network.attacks]
    there = dict.fromkeys(place for one in networks for place in one.conditions if place[0] != CLEAN)
    asked = [*there] if record.conditions is None else record.conditions
    severities: dict[str, list[int | None]] = {}
    for name, severity in asked:
        severities.setdefault(name, []).append(severity)
    return Measured(
        networks=networks,
        severities={
            name: levels
            for name, levels in severities.items()
            if all((name, level) in there for level in levels)
        },
        done=Done(
            conditions=Progress(sum(place in there for place in asked), len(asked)),
            attacks=_count_attacks(record, networks),
        ),
    )


def _count_attacks(record: RobustnessRecord, networks: Sequence[Network]) -> Progress:
    there = sum(eps is not None for one in networks for _, eps in one.attacks)
    asked = len(set(record.settings.attacks)) * len(set(record.settings.eps)) * len(record.networks)
    return Progress(there, max(there, asked))


def mean_of_all(values: Sequence[float | None]) -> float | None:
    """Return the mean; None where a value is missing, as a mean over fewer would be another quantity."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def minus(a: float | None, b: float | None) -> float | None:
    """Return a - b; None where one of them is missing."""
    return None if a is None or b is None else a - b
