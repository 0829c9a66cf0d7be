"""The section on robustness: findings, figures, tables and numbers."""

from pathlib import Path
from typing import Any

from foveate.report.core.section import Section
from foveate.report.robustness.charts import robustness_figures
from foveate.report.robustness.summary import summarise_robustness
from foveate.report.robustness.tables import robustness_tables
from foveate.report.robustness.words import sentences

__all__ = ["robustness_section", "summarise_robustness"]


def robustness_section(record: dict[str, Any], folder: Path | None = None) -> Section:
    """Make the section of a record; it has no pictures, so `folder` is not looked into."""
    summary = summarise_robustness(record)
    return Section(
        "robustness",
        "Robustness",
        sentences(summary),
        robustness_figures(summary),
        robustness_tables(summary),
        numbers=_numbers(record),
        summary=summary,
    )


def _numbers(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows as measured, for CSV files."""
    labels = {one["name"]: one for one in record["networks"]}
    corrupted: list[dict[str, Any]] = []
    attacked: list[dict[str, Any]] = []
    for row in record["rows"]:
        key = row["key"]
        one = labels.get(key["network"], {"label": None, "seed": None})
        flat = {"attention": one["label"], "seed": one["seed"], "network": key["network"]}
        scores = {score: row[score] for score in ("accuracy", "loss", "ece", "images")}
        if "attack" in key:
            attacked.append(flat | {"attack": key["attack"], "eps": key["eps"]} | scores)
        else:
            corrupted.append(flat | {"corruption": key["corruption"], "severity": key["severity"]} | scores)
    found = {"robustness": corrupted, "robustness_attacks": attacked}
    return {stem: rows for stem, rows in found.items() if rows}
