"""docs/performance.md from the records of slices."""

from datetime import date
from pathlib import Path
from typing import Any

import performance_page
from foveate.errors import RequestError
from foveate.files import write_text
from gpu_steps import price, proof
from gpu_steps.settings import Settings
from gpu_steps.units import DONE, Records
from price_networks import EQUATIONS, PLAIN


def write_page(path: Path, records: Records, settings: Settings) -> None:
    """Put the section of the GPU that `records` are from into the page at `path`.

    Raises:
        RequestError: no comparison was measured yet, or the file is another's.
    """
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    measured = {unit.title: records.read(unit) for unit in price.units(settings)}
    measured = {title: record for title, record in measured.items() if record["status"] == DONE}
    comparisons = []
    for case in settings.cases:
        if case.name in measured:
            compiled = {
                name: measured.get(price.title_of_compiled(of), {}).get("found")
                for name, of in ((PLAIN, case._replace(mechanism=PLAIN)), (EQUATIONS, case))
            }
            comparisons.append(measured[case.name]["found"] | {"compiled": compiled})
    if not comparisons:
        raise RequestError(f"{records.folder} has no measured comparison yet: there is nothing to write")
    first = next(iter(measured.values()))
    record: dict[str, Any] = {
        "environment": first["environment"],
        "date": date.today().isoformat(),
        "command": "python benchmarks/on_gpu.py --minutes 10 --out DIR",
        "proof": _proof(records, settings),
        "seconds": settings.seconds,
        "comparisons": comparisons,
        "first_use_seconds": {},
    }
    awaited = [case for case in settings.cases if case.name not in measured]
    write_text(path, performance_page.put_section(page, record, awaited))


def _proof(records: Records, settings: Settings) -> str:
    units = proof.units(settings)
    found = [record["found"] for unit in units if (record := records.read(unit))["status"] == DONE]
    faults = sum(len(one["faults"]) for one in found)
    return f"{len(found)} of {len(units)} units of the proof were done, with {faults} faults"
