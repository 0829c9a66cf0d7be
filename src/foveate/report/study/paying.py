"""When a candidate starts to pay: its gain over the baseline by epoch, in sentences and a table."""

from collections.abc import Iterator

from foveate.evaluation.significance import Outcome
from foveate.evaluation.training_end import Movement, Pace
from foveate.evaluation.trajectories import Course, Stretch, Trajectory
from foveate.notation import NOTHING, count, decimals
from foveate.records.labels import BASELINE, display_name
from foveate.records.metric import Metric
from foveate.report.core.notation import p_equation
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.summary import Summary

__all__ = ["gain_text", "paying_numbers", "paying_sentences", "paying_table", "so_far_sentences"]

COURSES = {
    (Course.AHEAD, Outcome.BETTER): "is ahead",
    (Course.GAINING, Outcome.BETTER): "is ahead and still gaining",
    (Course.GAINING, Outcome.NOT_SIGNIFICANT): "was not shown to differ so far, and is gaining",
    (Course.CATCHING_UP, Outcome.WORSE): "is behind so far and catching up",
    (Course.CATCHING_UP, Outcome.NOT_SIGNIFICANT): (
        "was not shown to differ so far, is behind in the mean and catching up"
    ),
    (Course.NOT_SHOWN, Outcome.NOT_SIGNIFICANT): "was not shown to differ",
    (Course.FALLING_BACK, Outcome.BETTER): "is ahead so far and falling back",
    (Course.FALLING_BACK, Outcome.NOT_SIGNIFICANT): (
        "was not shown to differ so far, is ahead in the mean and falling back"
    ),
    (Course.LOSING, Outcome.WORSE): "is behind and still losing",
    (Course.LOSING, Outcome.NOT_SIGNIFICANT): "was not shown to differ so far, and is losing",
    (Course.BEHIND, Outcome.WORSE): "is behind, and was not shown to catch up",
}
SO_FAR = {
    (Outcome.WORSE, Course.CATCHING_UP): ("worse so far and catching up", "still rises"),
    (Outcome.BETTER, Course.FALLING_BACK): ("better so far and falling back", "still falls"),
}
"""What the verdict says of a tested difference that is on its way to zero, and how the gain moves."""


def paying_sentences(summary: Summary) -> list[str]:
    """Say of each candidate from when it is ahead or behind, and whether it still moves."""
    if summary.trajectories is None:
        return []
    if all(row.attention != BASELINE for row in summary.rows):
        return ["There is no finished run of the baseline, so there is no difference to follow."]
    if not summary.trajectories:
        return ["No other candidate has a finished run with a seed of the baseline's."]
    cut = [(display_name(label), one) for label, one in summary.trajectories.items() if one.is_cut]
    return [
        *(_sentence(display_name(label), one, summary.metric) for label, one in summary.trajectories.items()),
        *(
            f"Runs of {name} or of the baseline ended at different epochs: {count(len(one.epochs), 'epoch')} "
            f"that all of them have are compared, of up to {one.longest}."
            for name, one in cut
        ),
    ]


def so_far_sentences(summary: Summary) -> list[str]:
    """Say which significant differences from the baseline are on their way to zero; for the verdict."""
    sentences = []
    for label, test in summary.against_baseline.items():
        one = (summary.trajectories or {}).get(label)
        found = SO_FAR.get((test.outcome, one.course)) if one else None
        if one and one.pace and found:
            state, moves = found
            sentences.append(
                f"{display_name(label)} is {state}: {_over(one.pace, one)} its gain in validation "
                f"{summary.metric.noun} {moves} by about {_size(one.pace, summary.metric)} per epoch"
                f"{_p(one.pace)}."
            )
    return sentences


def paying_table(summary: Summary) -> Table | None:
    """Return one row per candidate; None where there is no difference to follow."""
    metric = summary.metric
    if not summary.trajectories:
        return None
    columns = [
        Column("Mechanism"),
        Column(
            metric.heading_of_difference("Gain at the end"),
            f"Mean difference to the baseline in validation {metric.noun} over the last stretch of epochs, "
            "above zero where the mechanism is better; below, its 95 % band, for all stretches at once.",
        ),
        Column(
            "Pays from epoch",
            "First epoch from which the whole band stays above zero to the end; below, from when it stays "
            "below zero, or else from when the mean alone stays on its side, which shows nothing.",
        ),
        Column(
            metric.heading_of_difference("Change per epoch"),
            "Slope of the gain over the end of the training; below, p of a one-sided t-test of the slopes of "
            "the seeds.",
        ),
        Column(
            "Course",
            "Catching up, falling back, gaining and losing: this p is under 0.05, and as many epochs again "
            "at this pace would change the gain by half its size at least.",
            is_text=True,
        ),
    ]
    rows = [
        [
            Cell(display_name(label), count(one.seeds, "seed")),
            Cell(
                gain_text(one.end, metric),
                "" if one.end.band is None else metric.write_interval(one.end.band),
            ),
            _from(one),
            Cell(NOTHING) if one.pace is None else Cell(_slope(one.pace, metric), _p(one.pace).strip(" ()")),
            Cell(one.course),
        ]
        for label, one in summary.trajectories.items()
    ]
    return Table("paying", "When it starts to pay", columns, rows)


def paying_numbers(summary: Summary) -> Iterator[dict[str, object]]:
    """Give each epoch of each candidate, with the band of its stretch."""
    for label, one in (summary.trajectories or {}).items():
        for epoch, gain, error in zip(one.epochs, one.gains, one.standard_errors, strict=True):
            stretch = next(part for part in one.stretches if part.first <= epoch <= part.last)
            low, high = stretch.band or (None, None)
            yield {
                "attention": label,
                "epoch": epoch,
                "gain": gain,
                "standard_error": error,
                "stretch_first": stretch.first,
                "stretch_last": stretch.last,
                "stretch_gain": stretch.gain,
                "band_low": low,
                "band_high": high,
            }


def gain_text(stretch: Stretch, metric: Metric) -> str:
    """Write the mean gain of a stretch without its unit."""
    return metric.write_difference(stretch.gain)


def _sentence(name: str, one: Trajectory, metric: Metric) -> str:
    gain = metric.with_unit(gain_text(one.end, metric))
    if one.seeds < 2:
        return f"{name} shares one seed with the baseline: {gain} {_at_end(one)}, without a band or a test."
    if one.end.band is None:
        return f"{name} has no band: its gain {_at_end(one)}, {gain}, is the same in each seed."
    state = COURSES[one.course, one.outcome]
    if one.from_epoch is None:
        band = f"the band {_at_end(one)} reaches from {metric.with_unit(metric.write_interval(one.end.band))}"
    else:
        side = "above" if one.outcome is Outcome.BETTER else "below"
        band = f"the whole band lies {side} zero from epoch {one.from_epoch} to the end ({gain})"
    return f"{name} {state}: {band}{_movement(one, metric)}."


def _movement(one: Trajectory, metric: Metric) -> str:
    if one.pace is None:
        return ", and with one epoch there is no course"
    if one.movement is Movement.UNTESTED:
        return f", and {_over(one.pace, one)} it changes by the same in each seed: no spread to test against"
    if one.course in (Course.GAINING, Course.CATCHING_UP):
        moves = "rises"
    elif one.course in (Course.LOSING, Course.FALLING_BACK):
        moves = "falls"
    else:
        return f", and no change that matters was shown {_over(one.pace, one)}"
    pace = f"{moves} by about {_size(one.pace, metric)} per epoch{_p(one.pace)}"
    return f", and {_over(one.pace, one)} the gain {pace}"


def _at_end(one: Trajectory) -> str:
    if one.end.first == one.end.last:
        return f"at epoch {one.end.last}"
    return f"over the epochs {one.end.first} to {one.end.last}"


def _over(pace: Pace, one: Trajectory) -> str:
    return f"over the epochs {pace.first} to {one.epochs[-1]}"


def _from(one: Trajectory) -> Cell:
    if one.from_epoch is not None:
        is_ahead = one.outcome is Outcome.BETTER
        return Cell(str(one.from_epoch)) if is_ahead else Cell(NOTHING, f"behind from {one.from_epoch}")
    if one.mean_from_epoch is None:
        return Cell(NOTHING)
    return Cell(NOTHING, f"mean {'ahead' if one.end.gain > 0 else 'behind'} from {one.mean_from_epoch}")


def _slope(pace: Pace, metric: Metric) -> str:
    return decimals(pace.slope, metric.digits + 1, scale=metric.scale, signed=True)


def _size(pace: Pace, metric: Metric) -> str:
    """Write how steep a slope is, with two significant digits under 10."""
    size = abs(metric.scale * pace.slope)
    return metric.with_unit(f"{size:.2g}" if size < 10 else f"{size:.0f}")


def _p(pace: Pace) -> str:
    return "" if pace.p is None else f" ({p_equation(pace.p)})"
