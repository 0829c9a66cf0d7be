"""What a profile says in words: headline, warnings, and the roofline, from its record alone."""

from typing import Any

from foveate.evaluation.noise import BUSY
from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import count, decimals, listing, magnitude, signed_percent
from foveate.report.study.latency import noise_in_words, noise_of_rows

__all__ = [
    "ROOM",
    "arithmetic_share",
    "byte_size",
    "conditions",
    "doubtful",
    "headline",
    "increase",
    "milliseconds",
    "path_line",
    "ratio_range",
    "roofline_lines",
    "warnings_of",
]

ROOM = 0.25
"""Share of the measured arithmetic bound from which plain's own time needs no explanation."""

Row = dict[str, Any]


def conditions(record: dict[str, Any]) -> str:
    """Say what was measured, in one line."""
    settings, environment, timing = record["settings"], record["environment"], record["timing"]
    where = environment["accelerator"]
    if where == "cpu":
        where = f"{count(environment['threads'], 'thread')} of {environment['processor']}"
    form = [settings["dtype"], settings["memory_format"].replace("_", " "), settings["mode"]]
    form += [word for key, word in (("compile", "compiled"), ("graph", "as CUDA graphs")) if settings[key]]
    size = settings["image_size"]
    return (
        f"{settings['backbone']}, batches of {count(settings['batch_size'], 'image')} of {size}×{size}, "
        f"{', '.join(form)}, on {where}; {timing['rounds']} rounds"
    )


def path_line(record: dict[str, Any]) -> str:
    """Say in which form each mechanism ran, or "" where there is none."""
    said = []
    for row in record["rows"]:
        forms = [f"{path} at {count(sites, 'place')}" for path, sites in row["paths"].items()]
        if forms:
            said.append(f"{display_name(row['attention'])} by {listing(forms)}")
    return f"Ran: {'; '.join(said)}." if said else ""


def headline(record: dict[str, Any]) -> str:
    """Say what each mechanism adds to the latency, the dearest first; what is not shown is not claimed.

    A difference is shown where the interval of the ratio leaves out 1, here as in every table.
    """
    others = [row for row in record["rows"] if row["attention"] != BASELINE]
    shown = sorted((row for row in others if differs(row)), key=lambda row: -row["latency_ratio"])
    if not others:
        (plain,) = record["rows"]
        return f"Plain takes {milliseconds(plain['latency_ms_p50'])} ms; there is nothing to compare it with."
    if not shown:
        return "No mechanism was shown to differ from plain in latency."
    said = [
        f"{row['attention']} {'about ' * is_rough(row)}{signed_percent(100 * (row['latency_ratio'] - 1))}"
        f"{' latency' * (not index)}"
        for index, row in enumerate(shown)
    ]
    return f"Over plain: {listing(said)}."


def doubtful(row: Row) -> str | None:
    """Say why the difference of a row from plain is not to be relied on, or None where it is."""
    if row["attention"] == BASELINE:
        return None
    if not differs(row):
        return (
            f"the 95 % interval of its ratio ({ratio_range(row['latency_ratio_ci95'])}) holds 1: no "
            "difference from plain is shown"
        )
    if is_rough(row):
        return (
            "its ratio spreads more between rounds (middle half "
            f"{ratio_range(row['latency_ratio_quartiles'])}) than it differs from 1: take the figure as rough"
        )
    return None


def warnings_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """List all that speaks against the figures: {"attention": a label, or None for all of them, "text"}."""
    rows = {row["attention"]: row for row in record["rows"]}
    found: list[dict[str, Any]] = []
    # Of several signs of one disturbance the clearest is enough.
    for noise in noise_of_rows(rows, BASELINE, record["timing"].get("cpu_share"))[:1]:
        text = (
            f"The machine was busy: {noise_in_words(noise)}. Measure again when nothing else runs, or for "
            "longer with --seconds"
        )
        found.append({"attention": None, "text": text})
    if slowed := _slowed_by_threads(record):
        found.append({"attention": None, "text": slowed})
    for row in record["rows"][1:]:
        reason = doubtful(row)
        if reason:
            found.append({"attention": row["attention"], "text": reason})
    return found


def _slowed_by_threads(record: dict[str, Any]) -> str | None:
    """Say that plain is faster with one thread than with all of them, if it is."""
    one, plain = record["timing"].get("plain_one_thread_ms"), record["rows"][0]["latency_ms_p50"]
    if one is None or plain <= BUSY * one:
        return None
    threads, share = record["settings"]["threads"], arithmetic_share(record["rows"][0], record)
    return (
        f"Plain takes {milliseconds(plain)} ms with {threads} threads, {100 * share:.0f} % of the measured "
        f"arithmetic bound, and {milliseconds(one)} ms with one: another program holds a core, or the "
        "network is too small for as many. Measure with --threads 1, or when nothing else runs"
    )


def arithmetic_share(row: Row, record: dict[str, Any]) -> float:
    """The share of the measured arithmetic bound that a network's multiply-adds reach."""
    operations = 2 * row["macs"] * record["settings"]["batch_size"]
    return float(operations / (row["latency_ms_p50"] / 1e3) / record["machine"]["flops"])


def roofline_lines(record: dict[str, Any]) -> list[str]:
    """Say of each mechanism which bound its added work meets first, and how far from it the time is."""
    return [_roofline(row, record) for row in record["rows"] if row["roofline"]]


def _roofline(row: Row, record: dict[str, Any]) -> str:
    roofline, batch = row["roofline"], record["settings"]["batch_size"]
    flops = batch * (2 * row["macs_added"] + row["element_wise_added"])
    if roofline["bound"] == "memory":
        least = (
            f"moves {byte_size(batch * row['bytes_moved_added'])}, {milliseconds(roofline['memory_ms'])} ms"
        )
    else:
        least = f"does {magnitude(flops)} operations, {milliseconds(roofline['arithmetic_ms'])} ms"
    said = [f"as written it {least}"]
    factors = [roofline["added_over_bound"]]
    if roofline["least_ms"] is not None:
        reads, writes = roofline["least_reads_writes"]
        passes = f"{count(reads, 'read')} and {count(writes, 'write')}"
        said.append(f"{passes} of its maps would take {milliseconds(roofline['least_ms'])} ms")
        factors.append(roofline["added_over_least"])
    if row["latency_added_ms"] <= 0 or not differs(row):
        said.append("no added time is shown")
    else:
        times = " and ".join(f"{factor:.{1 if factor < 9.95 else 0}f}×" for factor in factors if factor)
        said.append(f"measured +{milliseconds(row['latency_added_ms'])} ms, {times} as long")
    return f"{display_name(row['attention'])}: bound by {roofline['bound']}; {'; '.join(said)}"


def is_rough(row: Row) -> bool:
    """Whether the ratio spreads more between rounds than it differs from 1."""
    low, high = row["latency_ratio_quartiles"]
    return bool(high - low > abs(row["latency_ratio"] - 1))


def differs(row: Row) -> bool:
    """Whether a difference from plain is shown: the interval of the ratio leaves out 1."""
    interval = row["latency_ratio_ci95"]
    return interval is not None and not interval[0] <= 1 <= interval[1]


def increase(row: Row, key: str) -> str:
    """Write by how many per cent a kind of cost grows."""
    percent: float = row[f"{key}_increase_percent"]
    return "0" if percent == 0 else "< 0.01 %" if 0 < percent < 0.005 else signed_percent(percent)


def milliseconds(value: float) -> str:
    """Write ms with about three significant digits."""
    size = abs(value)
    return decimals(value, 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.0995 else 3)


def byte_size(size: float | None, *, sign: bool = False) -> str:
    """Write bytes with three significant digits and kB, MB, GB or TB of powers of 1000."""
    text = magnitude(size)
    text = f"{text}B" if " " in text else f"{text} B"
    return f"+{text}" if sign and size and size > 0 else text.replace("-", "−")


def ratio_range(bounds: list[float] | None) -> str:
    """Write two ratios as "1.05–1.08": they have no minus signs to collide with."""
    return "unknown" if bounds is None else "–".join(f"{bound:.2f}" for bound in bounds)
