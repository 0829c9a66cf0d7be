"""The section of a report on transfer: what networks of one set of images reach on another."""

from dataclasses import replace
from pathlib import Path

from foveate.records.metric import CLASSIFICATION
from foveate.records.transfer import TransferRecord
from foveate.report.core.section import Section
from foveate.report.core.tables import Table
from foveate.report.core.theme import Figure
from foveate.report.study.class_changes import class_changes_sentences, class_changes_table
from foveate.report.study.class_charts import class_changes_figure
from foveate.report.transfer.charts import accuracy_figure
from foveate.report.transfer.summary import summarise_transfer
from foveate.report.transfer.tables import transfer_numbers, transfer_table
from foveate.report.transfer.words import way_sentences, way_title

__all__ = ["transfer_section"]


OF_CLASS = CLASSIFICATION.of_class


def transfer_section(record: TransferRecord, folder: Path) -> Section:
    """Make the section of a record; it has no files in `folder`."""
    summary = summarise_transfer(record)
    stem = record.kind.replace("-", "_")
    sentences: list[str] = []
    figures: list[Figure] = []
    tables: list[Table] = [transfer_table(summary, stem)]
    numbers: list[dict[str, object]] = []
    changes: list[dict[str, object]] = []
    for place, way in enumerate(summary.ways):
        name = f"{stem}_{way.way}" + (f"_{place}" if summary.has_backbones else "")
        title = way_title(way, summary.has_backbones)
        sentences += [*way_sentences(way, title), *class_changes_sentences(way.changes, way.untested)]
        figures.append(accuracy_figure(way, name, record.kind, title))
        by_class = class_changes_figure(
            way.changes, OF_CLASS, record.kind, f"{name}_classes", f"By class, {title}"
        )
        if by_class:
            figures.append(by_class)
        if table := class_changes_table(way.changes, OF_CLASS, f"{name}_classes"):
            tables.append(replace(table, caption=f"{table.caption}, {title}"))
        numbers += transfer_numbers(way)
        head = {"way": way.way, "backbone": way.backbone}
        changes += [{**head, **change.to_json()} for change in way.changes]
    return Section(
        record.kind,
        f"Transfer to {summary.target}",
        sentences,
        figures,
        tables,
        numbers={stem: numbers, f"{stem}_classes": changes},
        summary=summary.to_json(),
    )
