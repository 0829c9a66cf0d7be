"""Which section of a report is made of which kind of record: explain, gates, robustness, and so on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from foveate.errors import RequestError
from foveate.names import map_strings, printable
from foveate.records.base import JsonObject, parse_record, reading
from foveate.records.deployment import DeployedRecord
from foveate.records.examination import ExaminationRecord
from foveate.records.explain import ExplainRecord
from foveate.records.files import read_json
from foveate.records.gates import GatesRecord
from foveate.records.robustness import RobustnessRecord
from foveate.records.transfer import TransferRecord
from foveate.report.core.section import Section
from foveate.report.deployment.section import deployed_section
from foveate.report.explain.section import explain_section
from foveate.report.gates.section import gates_section
from foveate.report.robustness.section import robustness_section
from foveate.report.transfer.section import transfer_section

__all__ = ["KINDS", "Examined", "find_examined", "find_sections", "read_examined"]

MOST_NAMED = 10
"""A section names at most this many of what was excluded; the record names all."""


@dataclass(frozen=True)
class SectionKind:
    """A kind of record: the start of its "kind", its files in a folder, its type, and its section."""

    name: str
    pattern: str
    record: type[ExaminationRecord[Any]]
    make: Callable[[Any, Path], Section]


KINDS = (
    SectionKind("robustness", "robustness.json", RobustnessRecord, robustness_section),
    SectionKind("explain", "explain.json", ExplainRecord, explain_section),
    SectionKind("gates", "gates.json", GatesRecord, gates_section),
    SectionKind("deployed", "deployed.json", DeployedRecord, deployed_section),
    SectionKind("transfer", "transfer-*.json", TransferRecord, transfer_section),
)
"""In the order of their sections on a page."""


class Examined(NamedTuple):
    """A record of an examination, and its section."""

    record: ExaminationRecord[Any]
    section: Section

    @property
    def summary(self) -> JsonObject:
        """What the record amounts to, as `--json` gives it."""
        return self.section.summary


def find_sections(folder: Path) -> list[Section]:
    """Return the sections of what was examined in the folder of a study."""
    return [examined.section for examined in find_examined(folder)]


def find_examined(folder: Path) -> list[Examined]:
    """Return the examinations in `folder` that have a row, in the order of `KINDS`."""
    paths = [path for kind in KINDS for path in sorted(folder.glob(kind.pattern))]
    return [examined for path in paths if (examined := read_examined(path)).record.rows]


def read_examined(path: Path) -> Examined:
    """Read the record at `path` and make its section, with its warnings and the first of what was excluded.

    Raises:
        RequestError: it is no record of an examination, or of another format.
    """
    content = map_strings(read_json(path), printable)
    found = str(content.get("kind")) if isinstance(content, dict) else ""
    kind = next((one for one in KINDS if found.startswith(one.name)), None)
    if kind is None:
        raise RequestError(f"{path} is no record of an examination: its kind is {found!r}")
    record = parse_record(kind.record, content, path)
    with reading(path):
        section = kind.make(record, path.parent)
    said = [f"Excluded: {sentence}" for sentence in record.left_out[:MOST_NAMED]]
    if (more := len(record.left_out) - MOST_NAMED) > 0:
        said.append(f"Excluded, and named in {path.name}: {more:,} more.")
    return Examined(record, replace(section, sentences=[*section.sentences, *record.warnings, *said]))
