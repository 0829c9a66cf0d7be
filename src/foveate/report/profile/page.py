"""Render the self-contained page of a profile."""

from foveate.notation import magnitude
from foveate.records.labels import display_name
from foveate.records.profile import ProfileRecord
from foveate.report.core.frame import render
from foveate.report.core.paired import paired_sentence
from foveate.report.core.theme import Figure
from foveate.report.profile.tables import (
    energy_table,
    latency_table,
    parts_table,
    runtime_table,
    work_table,
)
from foveate.report.profile.words import (
    byte_size,
    conditions,
    energy_note,
    headline,
    kernel_path_line,
    network_name,
    paired_latencies,
    proposals_note,
    roofline_lines,
    runtime_note,
)

__all__ = ["render_profile"]


def render_profile(record: ProfileRecord, drawings: list[tuple[Figure, str]]) -> str:
    """Render the page of `record` with its figures, each with its SVG for print and without scripts.

    Everything is escaped, because names of mechanisms come from flags; the page loads nothing.
    """
    bounds = record.machine
    return render(
        "profile/page.html.j2",
        drawings,
        record=record,
        settings=record.settings,
        asked=_asked(record),
        network=network_name(record),
        proposals=proposals_note(record),
        headline=headline(record),
        conditions=conditions(record),
        latency=latency_table(record),
        paired=paired_sentence(paired_latencies(record)),
        runtimes=runtime_table(record),
        runtime_note=runtime_note(record),
        energy=energy_table(record),
        energy_note=energy_note(record),
        work=work_table(record),
        parts=parts_table(record),
        paths=kernel_path_line(record),
        rooflines=roofline_lines(record),
        bounds=f"{byte_size(bounds.bandwidth)}/s and {magnitude(bounds.flops)}FLOP/s",
    )


def _asked(record: ProfileRecord) -> dict[str, object]:
    """Return the settings as the page lists them: mechanisms and detectors as a person writes them."""
    settings = record.settings
    asked: dict[str, object] = {**settings.to_json()}
    asked["attention"] = [*map(display_name, settings.attention)]
    if settings.dense is not None:
        asked["dense"] = settings.dense.label
    return asked
