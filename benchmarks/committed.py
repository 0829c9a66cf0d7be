"""Keep the figures of the benchmarks, and compare later runs on the same kind of machine with them.

Each benchmark writes its figures with `--json`. `keep` puts those of a run into benchmarks/committed, one
file for each kind of machine; `check` compares a run with that file and fails where a figure is worse.

    python benchmarks/committed.py check build/bench
    python benchmarks/committed.py keep build/bench

A figure is worse only if its whole 95 % interval is beyond the kept interval and a tenth more. Of a price,
which is a time over that of the baseline, it is a tenth of what is added, and at least LEAST of the
baseline's time: a tenth of the ratio itself would let +10 % become +21 %. Of other ratios it is a tenth of
the ratio.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench_figures import Figure, read_figures
from foveate.errors import RequestError
from foveate.files import write_json

FOLDER = Path(__file__).with_name("committed")
TENTH = 0.1
LEAST = 0.02
"""By at least this share of the baseline's time a price may be worse: runs of the same code differ so."""
SOFTWARE = ("torch", "timm", "numba", "python")
"""Of these the first two numbers of the version must be the same; with others no figure is compared."""


class Outcome(NamedTuple):
    """What a comparison found: sentences on what is worse, and on what was not compared; how many were."""

    worse: list[str]
    skipped: list[str]
    compared: int


def kind_of(environment: dict[str, Any]) -> str:
    """Return the kind of a machine, which names its file: the accelerator, or the processor and its cores."""
    accelerator = environment["accelerator"]
    name = f"{environment['processor']}-{environment['cores']}-cores" if accelerator == "cpu" else accelerator
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def conditions_of(environment: dict[str, Any]) -> dict[str, str]:
    """Return what must be the same on that machine: the threads, and the versions' first two numbers."""
    versions = {name: environment.get(name, "") for name in SOFTWARE}
    short = {name: ".".join(version.split(".")[:2]) for name, version in versions.items() if version}
    return {"threads": str(environment["threads"])} | short


def is_worse(now: Figure, kept: Figure) -> bool:
    """Return whether the whole interval of `now` is worse than that of `kept` by more than a tenth.

    A figure without an interval counts as one point.
    """
    low, high = now.interval or (now.ratio, now.ratio)
    kept_low, kept_high = kept.interval or (kept.ratio, kept.ratio)
    if now.measures == "speed":
        return high < kept_low * (1 - TENTH)
    if now.measures == "price":
        return low - 1 > kept_high - 1 + max(TENTH * (kept_high - 1), LEAST)
    return low > kept_high * (1 + TENTH)


def compare(records: Iterable[dict[str, Any]], folder: Path) -> Outcome:
    """Compare the figures of the records of a run with what is kept in `folder`."""
    found = Outcome([], [], 0)
    for record in records:
        found = _join(found, _compare_one(record, folder))
    return found


def _join(one: Outcome, other: Outcome) -> Outcome:
    return Outcome(one.worse + other.worse, one.skipped + other.skipped, one.compared + other.compared)


def _compare_one(record: dict[str, Any], folder: Path) -> Outcome:
    name, environment = record["benchmark"], record["environment"]
    file = folder / f"{kind_of(environment)}.json"
    kept = _read(file)["benchmarks"].get(name)
    if kept is None:
        why = f"no figures are kept for this kind of machine ({file.name})"
        return Outcome([], [f"{name}: not compared: {why}"], 0)
    here, there = conditions_of(environment), kept["conditions"]
    if other := [key for key in sorted(here | there) if here.get(key) != there.get(key)]:
        said = ", ".join(f"{key} {here.get(key, 'none')} and not {there.get(key, 'none')}" for key in other)
        return Outcome([], [f"{name}: not compared: it ran with {said}"], 0)
    before = {one.name: one for one in map(_figure, kept["figures"])}
    now = [one for one in read_figures(record) if one.name in before]
    worse = [
        f"{name}: {one}; kept is {before[one.name].said}" for one in now if is_worse(one, before[one.name])
    ]
    gone = len(before) - len(now)
    skipped = [f"{name}: {gone} of {len(before)} kept figures were not measured in this run"] * (gone > 0)
    return Outcome(worse, skipped, len(now))


def keep(records: Iterable[dict[str, Any]], folder: Path) -> list[Path]:
    """Put the figures of the records of a run into the file of its machine; those of others stay."""
    written = []
    for record in records:
        file = folder / f"{kind_of(record['environment'])}.json"
        known = _read(file)
        known["benchmarks"][record["benchmark"]] = {
            "date": record["date"],
            "command": record["command"],
            "conditions": conditions_of(record["environment"]),
            "figures": [one._asdict() for one in read_figures(record)],
        }
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, known)
        written.append(file)
    return list(dict.fromkeys(written))


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {"benchmarks": {}}
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return known


def _figure(kept: dict[str, Any]) -> Figure:
    interval = kept["interval"]
    return Figure(kept["name"], kept["ratio"], tuple(interval) if interval else None, kept["measures"])


def read_records(run: Path) -> list[dict[str, Any]]:
    """Return the records of a run: a file, or all files of a folder.

    Raises:
        RequestError: there is none, or a file is none that a benchmark wrote with --json.
    """
    files = sorted(run.glob("*.json")) if run.is_dir() else [run]
    if not files or not all(file.is_file() for file in files):
        raise RequestError(f"{run}: expected a file that a benchmark wrote with --json, or a folder of them")
    records = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for file, record in zip(files, records, strict=True):
        if not isinstance(record, dict) or "benchmark" not in record:
            raise RequestError(f"{file}: expected a file that a benchmark wrote with --json")
    return records


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, 1 if a figure is worse, 2 if the request was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("what", choices=("check", "keep"))
    parser.add_argument(
        "run", type=Path, help="a file that a benchmark wrote with --json, or a folder of them"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the kept figures")
    given = parser.parse_args(arguments)
    try:
        records = read_records(given.run)
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.what == "keep":
        print("\n".join(f"written: {file}" for file in keep(records, given.folder)))
        return 0
    found = compare(records, given.folder)
    print("\n".join([*found.skipped, *(f"worse: {said}" for said in found.worse)]), end="\n" * bool(found[0]))
    print(f"{found.compared} figures were compared with the kept ones; {len(found.worse)} are worse")
    return 1 if found.worse else 0


if __name__ == "__main__":
    sys.exit(main())
