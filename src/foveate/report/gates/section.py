"""The section of a report on the gates of attention."""

from pathlib import Path

from foveate.records.gates import GATES, GatesRecord
from foveate.report.core.section import Section
from foveate.report.gates.charts import gates_figures
from foveate.report.gates.sentences import gates_sentences
from foveate.report.gates.summarise import summarise_gates
from foveate.report.gates.tables import gate_numbers, gates_tables

__all__ = ["gates_section"]


def gates_section(record: GatesRecord, folder: Path | None = None) -> Section:
    """Make the section of a record; it has no pictures, so `folder` is not read."""
    summary = summarise_gates(record)
    return Section(
        GATES,
        "Do the gates react to the image?",
        gates_sentences(summary),
        gates_figures(summary),
        gates_tables(summary) if summary.rows else [],
        numbers={"gates": [*gate_numbers(record)]} if record.rows else {},
        summary=summary.to_json(),
    )
