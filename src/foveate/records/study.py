"""Reads the records of a study's folder: study.json, cost.json and the result.json of each finished run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foveate.errors import RequestError, WorkError
from foveate.names import map_strings, printable
from foveate.records.check import check_types
from foveate.records.run import check_run_record
from foveate.version import __version__

__all__ = ["FORMAT", "PLAIN", "Records", "read_record", "read_records", "read_result", "read_shown"]

FORMAT = 1
PLAIN = "none"
"""The label of the backbone without attention."""
EVERYTHING_COMPARED: dict[str, Any] = {
    "kind": "compare",
    "subject": None,
    "contrasts": [],
    "values": [],
    "controls": [],
    "search": None,
}
"""The design of a study that plans no comparisons: all pairs."""


@dataclass(frozen=True)
class Records:
    """What a study's folder holds.

    `results[attention][seed]` is the record of a finished run, `cost[attention]` what was measured of its
    network under `cost_setting` (batch size, device).
    """

    folder: Path
    study: dict[str, Any]
    results: dict[str, dict[int, dict[str, Any]]]
    cost: dict[str, dict[str, Any]]
    cost_setting: dict[str, Any]
    missing: list[str]

    @property
    def design(self) -> dict[str, Any]:
        """What the study was to find out: its kind, subject, planned contrasts, swept values, controls."""
        return EVERYTHING_COMPARED | self.study.get("design", {})

    @property
    def finished(self) -> list[str]:
        """The mechanisms with at least one finished run, plain first, then in the order asked for."""
        labels = [label for label in self.study["attention"] if self.results.get(label)]
        return sorted(labels, key=lambda label: label != PLAIN)


def read_records(folder: Path) -> Records:
    """Read `folder`; what is not there is named in `missing`.

    Raises RequestError where `folder` holds no study, or one of another format, or a record that is not that
    of its run, and WorkError where no run of the study has finished.
    """
    if not (folder / "study.json").is_file():
        raise RequestError(
            f"{folder} holds no study: study.json is not there. Give a folder that `foveate compare` wrote."
        )
    study = read_shown(folder / "study.json")
    results: dict[str, dict[int, dict[str, Any]]] = {label: {} for label in study["attention"]}
    for run in study["runs"]:
        path = folder / "runs" / run["id"] / "result.json"
        if path.is_file():
            results[run["attention"]][run["seed"]] = map_strings(read_result(path, run["id"]), printable)
    if not any(results.values()):
        reasons = "".join(
            f" {run['attention']}, seed {run['seed']}: {run['error']}." for run in study["failed"]
        )
        raise WorkError(
            f"no run of the study in {folder} has finished, so there is nothing to report.{reasons} "
            "Start the study again: it goes on where it stopped."
        )
    setting = read_shown(folder / "cost.json") if (folder / "cost.json").is_file() else {}
    cost = setting.pop("rows", {})
    return Records(folder, study, results, cost, setting, _missing(study, results, cost))


def read_record(path: Path) -> dict[str, Any]:
    """Read one record; RequestError where it is no JSON, of another format, or has other types."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"{path} is not readable as JSON ({error}). Take it away and start the study again: "
            "what is missing is made anew."
        ) from None
    # cost.json is a measurement and carries no format of its own.
    if isinstance(record, dict) and path.name != "cost.json" and record.get("format") != FORMAT:
        writer = f" by foveate {record['foveate']}" if "foveate" in record else ""
        raise RequestError(
            f"{path} was written{writer} in format {record.get('format')}, and foveate {__version__} reads "
            f"format {FORMAT}. Read it with the version that wrote it, or run the study again in a new "
            "folder."
        )
    check_types(record, path)
    checked: dict[str, Any] = record
    return checked


def read_result(path: Path, run: str | None = None) -> dict[str, Any]:
    """Read the record of a finished run at `path`; `run` is the id that is expected there, if one is.

    Raises:
        RequestError: it is no record, that of another run, one that was changed, or has impossible values.
    """
    record = read_record(path)
    check_run_record(record, path, run)
    return record


def read_shown(path: Path) -> dict[str, Any]:
    """Read one record as `read_record` does, its names and sentences `printable`.

    A record may come from anywhere, and drawing ends the process at a control character.
    """
    record: dict[str, Any] = map_strings(read_record(path), printable)
    return record


def _missing(study: dict[str, Any], results: dict[str, Any], cost: dict[str, Any]) -> list[str]:
    errors = {run["id"]: run["error"] for run in study["failed"]}
    sentences = []
    for run in study["runs"]:
        if run["seed"] not in results[run["attention"]]:
            fate = f"failed: {errors[run['id']]}" if run["id"] in errors else "has not finished."
            sentences.append(f"The run of {run['attention']} with seed {run['seed']} {fate}")
    unmeasured = [label for label in study["attention"] if label not in cost]
    if unmeasured:
        sentences.append(f"No cost was measured for {', '.join(unmeasured)}.")
    return sentences
