"""The words that tables use for the outcome of a comparison."""

from collections.abc import Mapping

from foveate.evaluation.significance import Outcome
from foveate.evaluation.statistics import PairedTest
from foveate.notation import NOTHING, p_value
from foveate.report.core.tables import Cell

__all__ = ["outcome_cell", "untested_because"]

GAIN_OR_LOSS = {Outcome.BETTER: "gain", Outcome.WORSE: "loss", Outcome.EQUIVALENT: "no gain or loss"}
"""Other words for the outcome of a planned comparison."""


def outcome_cell(
    test: PairedTest,
    p_adjusted: float | None,
    outcome: Outcome,
    words: Mapping[Outcome, str] | None = None,
) -> Cell:
    """Return the adjusted p value of `test`, and below it the outcome, or why there is none.

    `words` replace the names of outcomes.
    """
    if outcome is Outcome.UNTESTED or p_adjusted is None:
        return Cell(NOTHING, untested_because(test))
    return Cell(p_value(p_adjusted), (words or {}).get(outcome, outcome.value))


def untested_because(test: PairedTest) -> str:
    """Say in a cell why a comparison has no p value; nothing where it has one."""
    if test.p is not None:
        return ""
    return "no test" if test.n < 2 else "no test: same in each seed"
