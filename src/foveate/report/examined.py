"""Builds the page of examined networks that no study was run for."""

from pathlib import Path

from foveate.files import write_text
from foveate.records.examination import ExaminedNetwork
from foveate.records.labels import name_with_seed
from foveate.report.core.files import write_figures, write_numbers, write_tables
from foveate.report.core.frame import render
from foveate.report.sections import find_examined
from foveate.version import __version__

__all__ = ["build_examination"]


def build_examination(folder: Path) -> Path:
    """Write the page of what was examined in `folder`, where no study was run, and return its path.

    It has a section for each record that is there; tables, numbers and figures lie beside it as with a study.
    """
    examined = find_examined(folder)
    records, sections = [one.record for one in examined], [one.section for one in examined]
    report = folder / "report"
    drawings = write_figures(report, [figure for section in sections for figure in section.figures])
    for section in sections:
        write_tables(report, section.tables)
        write_numbers(report, section.numbers)
    names = dict.fromkeys(_name(network) for record in records for network in record.networks)
    write_text(
        report / "index.html",
        render(
            "core/examined.html.j2",
            drawings,
            title=", ".join(names),
            version=__version__,
            records=records,
            sections=sections,
        ),
    )
    return report / "index.html"


def _name(network: ExaminedNetwork) -> str:
    """Name a run of a study by its mechanism, for its own name is a hash; another network by its name."""
    if network.seed is None:
        return network.name
    return f"{network.backbone} {name_with_seed(network.label, network.seed)}"
