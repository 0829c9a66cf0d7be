"""The records that are kept of measured studies, each in a folder of its own.

A record is the summary that `foveate report STUDY --json` gives, without paths of the machine it was made on.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from foveate.errors import RequestError
from foveate.files import write_json, write_text
from foveate.records.base import Json
from foveate.records.examination import ExaminationRecord
from foveate.report.core.files import as_markdown
from foveate.report.sections import Examined, find_examined
from foveate.report.study.build import build_report
from foveate.report.study.kept import summary_from_json
from foveate.report.study.summary import Summary

ROOT = Path(__file__).resolve().parent.parent
MACHINE_PATH = re.compile(r"(?<![\w./:~-])(?:~|(?:\.\./)*\.\.)?(?:/[\w.+@-]+)+/?")
"""An absolute path, one that starts at home, or one that leaves the folder; no address and no owner/name."""
TABLES = ("results.md", "tests.md", "contrasts.md", "values.md")


@dataclass(frozen=True)
class KeptExamination:
    """What is kept of an examination: its command and settings, its findings, and its main table."""

    title: str
    command: str
    settings: dict[str, Json]
    sentences: list[str]
    table: str


@dataclass(frozen=True)
class Result:
    """A study that is kept: its summary, and what was examined of its networks."""

    summary: Summary
    examined: tuple[KeptExamination, ...] = ()


def keep_results(study: Path, name: str, against: str | None = None, root: Path = ROOT) -> Path:
    """Keep the records of the folder `study` as results/`name`: its summary and its tables.

    Raises:
        RequestError: `name` is not the name of a folder, or `study` is no study.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise RequestError(
            f"a result's name is letters, digits, dots, dashes and underscores, given {name!r}"
        )
    summary = build_report(study, against)
    report, kept = summary.report.parent, root / "results" / name
    earlier, earlier_tables = _examined_before(kept, summary)
    if kept.exists():
        shutil.rmtree(kept)
    examined = find_examined(study)
    # System and release: a kernel's build says nothing to a reader elsewhere.
    platform = "-".join(summary.study.environment.platform.split("-")[:2])
    environment = summary.study.environment.model_copy(update={"platform": platform})
    of_study = summary.study.model_copy(update={"environment": environment})
    content = replace(summary, study=of_study).to_json()
    del content["report"]
    in_short = [examined_in_short(one) for one in examined] or earlier
    content["examined"] = [asdict(one) for one in in_short]
    write_json(kept / "summary.json", without_paths(content))
    tables = [table.name for one in examined for table in one.section.tables]
    for table in (*TABLES, *(f"{name}.md" for name in tables)):
        if (report / table).is_file():
            write_text(kept / table, (report / table).read_text(encoding="utf-8"))
    for table, text in earlier_tables.items() if not examined else ():
        write_text(kept / table, text)
    return kept


def _examined_before(kept: Path, summary: Summary) -> tuple[Sequence[KeptExamination], dict[str, str]]:
    """Return the examinations in `kept` and their tables, if all its networks are in `summary` unchanged.

    A study that was extended by a mechanism has the runs that were examined before, bit for bit.
    """
    if not (kept / "summary.json").is_file():
        return (), {}
    before, now = read_result(kept), _values(summary)
    if any(now.get(label) != values for label, values in _values(before.summary).items()):
        return (), {}
    tables = {
        file.name: file.read_text(encoding="utf-8") for file in kept.glob("*.md") if file.name not in TABLES
    }
    return before.examined, tables


def _values(summary: Summary) -> dict[str, tuple[float, ...]]:
    """Return the values of the primary metric by candidate, one for each seed."""
    return {row.attention: row.scores[summary.metric.name].values for row in summary.rows}


def examined_in_short(examined: Examined) -> KeptExamination:
    """Return what is kept of an examination."""
    record: ExaminationRecord[Any] = examined.record
    section = examined.section
    return KeptExamination(
        title=section.title,
        command=record.command,
        settings=record.settings.to_json(),
        sentences=list(section.sentences),
        table=as_markdown(section.tables[0]) if section.tables else "",
    )


def without_paths(value: Json) -> Json:
    """Return `value` with only the last name of each path of this machine, wherever a text has one."""
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_paths(item) for item in value]
    if isinstance(value, str):
        return MACHINE_PATH.sub(lambda path: Path(path[0]).name, value)
    return value


def read_results(root: Path = ROOT) -> dict[str, Result]:
    """Return the studies that are kept, by name."""
    files = sorted((root / "results").glob("*/summary.json"))
    return {file.parent.name: read_result(file.parent) for file in files}


def read_result(kept: Path) -> Result:
    """Return the study that is kept in the folder `kept`."""
    content = json.loads((kept / "summary.json").read_text(encoding="utf-8"))
    examined = tuple(KeptExamination(**one) for one in content.pop("examined", ()))
    return Result(summary_from_json(content), examined)
