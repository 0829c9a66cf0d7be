"""The section on networks as they are deployed: findings, figures, tables and numbers."""

from pathlib import Path

from foveate.records.deployment import DEPLOYED, DeployedRecord
from foveate.report.core.section import Section
from foveate.report.deployment.charts import deployed_figures
from foveate.report.deployment.sentences import deployed_sentences
from foveate.report.deployment.summary import summarise_deployed
from foveate.report.deployment.tables import deployed_numbers, deployed_tables

__all__ = ["deployed_section"]


def deployed_section(record: DeployedRecord, folder: Path | None = None) -> Section:
    """Make the section of a record; it has no pictures, so `folder` is not read."""
    summary = summarise_deployed(record)
    return Section(
        DEPLOYED,
        "As deployed",
        deployed_sentences(summary),
        deployed_figures(summary) if summary.rows else [],
        deployed_tables(summary) if summary.rows else [],
        numbers=deployed_numbers(record),
        summary=summary.to_json(),
    )
