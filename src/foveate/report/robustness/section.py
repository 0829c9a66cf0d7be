"""The section on robustness: findings, figures, tables and numbers."""

from pathlib import Path

from foveate.records.examination import ExaminedNetwork
from foveate.records.metric import TaskRecord
from foveate.records.robustness import DenseRow, RobustnessRecord, RobustnessRow
from foveate.report.core.section import Section
from foveate.report.robustness.charts import robustness_figures
from foveate.report.robustness.legend import conditions_table
from foveate.report.robustness.sentences import robustness_sentences
from foveate.report.robustness.summarise import summarise_robustness
from foveate.report.robustness.tables import robustness_tables

__all__ = ["robustness_section"]


def robustness_section(record: RobustnessRecord, folder: Path | None = None) -> Section:
    """Make the section of a record; it has no pictures, so `folder` is not read."""
    summary = summarise_robustness(record)
    return Section(
        "robustness",
        "Robustness",
        robustness_sentences(summary),
        robustness_figures(summary),
        [*robustness_tables(summary), *filter(None, [conditions_table(record)])],
        numbers=_numbers(record),
        summary=summary.to_json(),
    )


def _numbers(record: RobustnessRecord) -> dict[str, list[dict[str, object]]]:
    """Return the rows as they were measured, for CSV files."""
    networks = {one.name: one for one in record.networks}
    corrupted = [
        _flat(row, networks, {"corruption": row.key.corruption, "severity": row.key.severity}, record.task)
        for row in record.corruption_rows
    ]
    attacked = [
        _flat(row, networks, {"attack": row.key.attack, "eps": row.key.eps}, record.task)
        for row in record.attack_rows
    ]
    found = {"robustness": corrupted, "robustness_attacks": attacked}
    return {stem: rows for stem, rows in found.items() if rows}


def _flat(
    row: RobustnessRow,
    networks: dict[str, ExaminedNetwork],
    condition: dict[str, object],
    task: TaskRecord,
) -> dict[str, object]:
    network = networks.get(row.key.name)
    if isinstance(row, DenseRow):
        scores = {metric.name: row.value(metric) for metric in task.metrics}
    else:
        scores = {"accuracy": row.accuracy, "loss": row.loss, "ece": row.ece}
    return {
        "attention": network and network.label,
        "seed": network and network.seed,
        "network": row.key.name,
        **condition,
        **scores,
        "images": row.images,
    }
