"""The table that a slice prints at its end: what was done, what was found, and what is left."""

from collections.abc import Callable, Iterable
from typing import Any

from foveate.notation import count
from gpu_steps import accuracy, breakdown, passes, price, proof, speed
from gpu_steps.units import DONE, NEVER, Records, Unit
from price_goals import change, percent
from price_networks import AGAIN, EQUATIONS, FOVEATE, TIMM, printed

Found = dict[str, Any]
WIDTH = 100


def lines(
    records: Records, units: list[Unit], runs: Iterable[accuracy.Progress], fault: str | None
) -> list[str]:
    """Return the lines of the table: the state and gist of each unit, the runs, and what is left."""
    rows: list[str] = []
    left = 0
    for unit in units:
        record = records.read(unit)
        left += record["status"] != DONE
        rows.append(f"{_state(record):>14}  {unit.step:9}  {printed(unit.title)}")
        gist = _gist(unit.step, record["found"]) if record["status"] == DONE else record.get("error", "")
        if gist:
            rows.append(f"{'':27}{gist[: WIDTH * 2]}")
        if record["status"] != NEVER and record.get("code") != records.code:
            rows.append(f"{'':27}measured with other code than today's: --again {unit.name}")
    runs = list(runs)
    for run in runs:
        seconds = f"{run.seconds:.0f} s" if run.seconds else ""
        scored = f"test accuracy {run.accuracy:.4f}" if run.accuracy is not None else ""
        rows.append(f"{run.status:>14}  {accuracy.STEP:9}  {run.title:40} {scored} {seconds}".rstrip())
    if fault:
        rows.append(f"{'failed':>14}  {accuracy.STEP:9}  {fault}")
    waiting = sum(run.status != "done" for run in runs)
    study = "the study was not begun" if not runs else f"{count(waiting, 'run')} of the study of {len(runs)}"
    rows += _slower(records, units)
    return [*rows, f"done: {len(units) - left} of {count(len(units), 'unit')}; left: {left}, and {study}"]


def _state(record: Found) -> str:
    seconds = f" {record['seconds']:.0f} s" if "seconds" in record else ""
    faults = (record.get("found") or {}).get("faults")
    return "WRONG" + seconds if faults else record["status"] + seconds


def _gist(step: str, found: Found) -> str:
    return GISTS[step](found)


def _of_proof(found: Found) -> str:
    if found["faults"]:
        return f"{count(len(found['faults']), 'fault')}: {found['faults'][0]}"
    if "worst" in found:
        worst = [f"{dtype} {_largest(errors)}" for dtype, errors in found["worst"].items()]
        return f"{found['checked']} of {found['of']} cases equal; worst error in {', '.join(worst)}"
    if "compile_seconds" in found:
        return f"equal to uncompiled but for {found['off']:.1e}; compiled in {found['compile_seconds']} s"
    of_dtype = [f"{dtype} {found[dtype]['gradients']['off']:.1e}" for dtype in ("float32", "bfloat16")]
    return f"equal; gradients off float64 by {', '.join(of_dtype)}; by {', '.join(found['paths'])}"


def _largest(errors: dict[str, Any]) -> str:
    return (
        f"{max(float(errors.get(part, 0)) for part in ('output', 'gradient')):.1e} of {errors['allowed']:.1e}"
    )


def _of_passes(found: Found) -> str:
    took = [f"{name} {found['ms'][name]:.2f} ms ({over:.1f} ×)" for name, over in found["over_copy"].items()]
    return f"a copy {found['ms'][passes.COPY]:.2f} ms: {', '.join(took)}"


def _of_price(found: Found) -> str:
    if "what" in found:
        return f"over the baseline: {change(found['over_plain'])}; compiled in {found['compile_seconds']} s"
    over = found["over_plain"]
    said = [
        f"{printed(name)} {change(over[name])}" for name in (FOVEATE, EQUATIONS, TIMM, AGAIN) if over[name]
    ]
    return "over the baseline: " + ", ".join(said)


def _of_breakdown(found: Found) -> str:
    most = [f"{row['operator']} {row['ms']:.2f} ms" for row in found["operators"] if row["attention"]][:4]
    at_bandwidth, took = found["attention_at_bandwidth_ms"], found["attention_ms"]
    return f"attention {took:.2f} ms, {at_bandwidth:.2f} ms at the copy bandwidth: {', '.join(most)}"


def _of_speed(found: Found) -> str:
    waits = sum(found["waits"].values())
    return (
        f"{found['images_per_second']:,.0f} images/s, {found['seconds_an_epoch']:.1f} s an epoch, "
        f"{100 * found['input_share']:.1f} % for input; {waits} waits in {found['steps']} steps"
    )


GISTS: dict[str, Callable[[Found], str]] = {
    proof.STEP: _of_proof,
    passes.STEP: _of_passes,
    price.STEP: _of_price,
    breakdown.STEP: _of_breakdown,
    speed.STEP: _of_speed,
}


def _slower(records: Records, units: list[Unit]) -> list[str]:
    """List each comparison in which foveate took longer than its equations, eager or compiled."""
    rows = []
    companions = {unit.title: records.read(unit) for unit in units if unit.step == price.STEP}
    for title, record in companions.items():
        found = record.get("found")
        if not found or "what" in found:
            continue
        equations = found["over_equations"]
        if equations["ratio"] > 1 and (equations["interval"] or [0])[0] > 1:
            rows.append(f"slower than its equations by {percent(equations['ratio'])}: {title}")
        compiled = companions.get(f"{price.COMPILED} {title}", {}).get("found")
        if compiled and found["over_plain"][FOVEATE]["ratio"] > compiled["over_plain"]["ratio"]:
            ratio = found["over_plain"][FOVEATE]["ratio"] / compiled["over_plain"]["ratio"]
            rows.append(f"slower than its compiled equations by {percent(ratio)}: {title}")
    return rows
