"""Write docs/performance.md from the records of slices."""

from datetime import date
from pathlib import Path
from typing import Any

import performance_page
from foveate.errors import RequestError
from foveate.files import write_text
from gpu_steps import price, proof
from gpu_steps.settings import Settings
from gpu_steps.units import DONE, Records
from price_goals import Comparison
from price_networks import BASELINE, EQUATIONS, FOVEATE


def write_page(path: Path, records: Records, settings: Settings) -> None:
    """Write a section for each GPU of `records` into the page at `path`.

    Raises:
        RequestError: no comparison was measured yet, or the file is not such a page.
    """
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    found = {unit.title: records.read(unit) for unit in price.units(settings)}
    done = {title: record for title, record in found.items() if record["status"] == DONE}
    gpus = sorted({record["environment"]["accelerator"] for record in done.values()})
    written = False
    for gpu in gpus:
        own = {title: one for title, one in done.items() if one["environment"]["accelerator"] == gpu}
        if comparisons := _comparisons(own, settings):
            awaited = [case for case in settings.cases if case.name not in own]
            of_cases = [own[case.name] for case in settings.cases if case.name in own]
            record = _record(of_cases, comparisons, records, settings)
            page, written = performance_page.put_section(page, record, awaited), True
    if not written:
        raise RequestError(f"{records.folder} has no measured comparison yet: there is nothing to write")
    write_text(path, page)


def _comparisons(measured: dict[str, Any], settings: Settings) -> list[Comparison]:
    """Return the comparisons of one GPU, each with its compiled networks."""
    comparisons = []
    for case in settings.cases:
        if case.name in measured:
            of = {BASELINE: case._replace(mechanism=BASELINE), EQUATIONS: case, FOVEATE: case}
            compiled = {
                name: measured.get(price.title_of_compiled(one, name), {}).get("found")
                for name, one in of.items()
            }
            comparisons.append(measured[case.name]["found"] | {"compiled": compiled})
    return comparisons


def _record(
    own: list[dict[str, Any]], comparisons: list[Comparison], records: Records, settings: Settings
) -> dict[str, Any]:
    return {
        "environment": own[0]["environment"],
        "date": date.today().isoformat(),
        "command": "python benchmarks/on_gpu.py --minutes 10 --out DIR",
        "proof": _proof(records, settings),
        "seconds": settings.seconds,
        "comparisons": comparisons,
        "changed": sum(one["code"] != records.code for one in own),
        "first_use_seconds": {},
    }


def _proof(records: Records, settings: Settings) -> str:
    units = proof.units(settings)
    found = [record["found"] for unit in units if (record := records.read(unit))["status"] == DONE]
    faults = sum(len(one["faults"]) for one in found)
    return f"{len(found)} of {len(units)} units of the proof were done, with {faults} faults"
