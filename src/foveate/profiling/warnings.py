"""Warnings about the figures of a profile, in sentences that say what to do."""

from foveate.evaluation.noise import BUSY, Times, describe_noise, find_noise
from foveate.notation import milliseconds, ratio_range
from foveate.records.labels import BASELINE
from foveate.records.profile import ProfileRecord, ProfileRow, ProfileWarning

__all__ = ["ROOM", "warnings_of"]

ROOM = 0.25
"""Share of the measured arithmetic bound from which the baseline's own time needs no explanation."""


def warnings_of(record: ProfileRecord) -> list[ProfileWarning]:
    """Return all warnings about the figures of `record`."""
    times = {
        row.attention: Times(row.latency_ms_p50, row.latency_ms_p95, row.latency_ratio) for row in record.rows
    }
    found = []
    # The clearest sign of a disturbance is enough.
    for noise in find_noise(times, BASELINE, record.timing.cpu_share)[:1]:
        text = (
            f"The machine was busy: {describe_noise(noise)}. Measure again when nothing else runs, or for "
            "longer with --seconds"
        )
        found.append(ProfileWarning(attention=None, text=text))
    if slowed := _slowed_by_threads(record):
        found.append(ProfileWarning(attention=None, text=slowed))
    doubts = ((row.attention, _doubt(row)) for row in record.rows[1:])
    found += [ProfileWarning(attention=label, text=doubt) for label, doubt in doubts if doubt]
    return found


def _slowed_by_threads(record: ProfileRecord) -> str | None:
    """Return a warning if the baseline is faster with one thread than with all of them."""
    one, all_threads = record.timing.plain_one_thread_ms, record.baseline.latency_ms_p50
    if one is None or all_threads <= BUSY * one:
        return None
    threads, share = record.settings.threads, record.arithmetic_share(record.baseline)
    return (
        f"The baseline takes {milliseconds(all_threads)} ms with {threads} threads, {100 * share:.0f} % of "
        f"the measured arithmetic bound, and {milliseconds(one)} ms with one: another program holds a core, "
        "or the network is too small for as many. Measure with --threads 1, or when nothing else runs"
    )


def _doubt(row: ProfileRow) -> str | None:
    """Return why the difference of a row from the baseline is unreliable, or None if it is reliable."""
    if not row.is_different:
        return (
            f"the 95 % interval of its ratio ({ratio_range(row.latency_ratio_ci95)}) includes 1: the "
            "difference from the baseline is not significant"
        )
    if row.is_rough:
        return (
            "its ratio spreads more between rounds (middle half "
            f"{ratio_range(row.latency_ratio_quartiles)}) than it differs from 1: take the figure as rough"
        )
    return None
