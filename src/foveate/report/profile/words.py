"""The sentences of a profile: conditions, headline, kernel paths and roofline."""

from foveate.notation import NOTHING, count, listing, magnitude, milliseconds, signed_percent
from foveate.records.labels import BASELINE, display_name
from foveate.records.profile import ProfileRecord, ProfileRow, Roofline
from foveate.report.core.paired import PairedLatency

__all__ = [
    "byte_size",
    "conditions",
    "energy_note",
    "headline",
    "increase",
    "joules",
    "kernel_path_line",
    "network_name",
    "paired_latencies",
    "proposals_note",
    "roofline_lines",
    "runtime_note",
]


def conditions(record: ProfileRecord) -> str:
    """Return what was measured and where, in one line."""
    settings, environment, timing = record.settings, record.environment, record.timing
    where = environment.accelerator
    if where == "cpu":
        where = f"{count(environment.threads, 'thread')} of {environment.processor}"
    form = [settings.dtype, settings.memory_format.replace("_", " "), settings.mode]
    form += ["compiled"] * settings.compile + ["as CUDA graphs"] * settings.graph
    size = settings.image_size
    return (
        f"{network_name(record)}, batches of {count(settings.batch_size, 'image')} of {size}×{size}, "
        f"{', '.join(form)}, on {where}; {timing.rounds} rounds"
    )


def network_name(record: ProfileRecord) -> str:
    """Return what attention was added to: the backbone, or the detector or segmenter over it."""
    dense, backbone = record.settings.dense, record.settings.backbone
    if dense is None:
        return backbone
    options = dense.label.removeprefix(dense.name)
    return f"{dense.title}{f' {options}' if options else ''} over {backbone}"


def proposals_note(record: ProfileRecord) -> str:
    """Return how a detector of two stages is counted and timed; "" for other networks."""
    dense = record.settings.dense
    if dense is None or dense.name != "fasterrcnn":
        return ""
    return (
        "It is counted and timed with as many proposals as it keeps at most, because an untrained detector "
        "proposes more or fewer by chance."
    )


def runtime_note(record: ProfileRecord) -> str:
    """Return how the networks were deployed; "" without another runtime."""
    settings = record.settings
    if not record.runtime_rows:
        return ""
    sentences = [
        f"Each network is exported as ONNX and run by {listing(settings.runtime)}, on "
        f"{count(settings.threads, 'thread')}, in turns with torch."
    ]
    if settings.calibrated_with:
        gates = "is quantised, too" if settings.quantise_gates else "stays in float32"
        sentences.append(
            f"int8 is calibrated with {settings.calibrated_with}, which does not change its cost; attention "
            f"{gates}."
        )
    return " ".join(sentences)


def energy_note(record: ProfileRecord) -> str:
    """Return what was counted as energy, or why nothing was; "" where it was not asked for."""
    account = record.energy
    if account is None:
        return ""
    if account.missing:
        return f"Energy was not measured: {account.missing}."
    on_gpu = record.settings.device.startswith("cuda")
    whole = "the whole board" if on_gpu else "the whole package, with everything that ran on it"
    return (
        f"Energy was counted by {account.counter}: {whole}, in {count(account.rounds or 0, 'round')} with a "
        f"window of at least {account.window_seconds:g} s for each network. Idle power is not subtracted; "
        f"before the first round it was {joules(account.idle_watts)} W."
    )


def kernel_path_line(record: ProfileRecord) -> str:
    """Return the kernel paths on which each mechanism ran; "" if there is no mechanism."""
    said = []
    for row in record.rows:
        forms = [f"{path} at {count(sites, 'place')}" for path, sites in row.paths.items()]
        if forms:
            said.append(f"{display_name(row.attention)} by {listing(forms)}")
    return f"Ran: {'; '.join(said)}." if said else ""


def headline(record: ProfileRecord) -> str:
    """Return what each mechanism adds to the latency, the slowest first.

    Only significant differences are named: the interval of the ratio excludes 1.
    """
    others = [row for row in record.rows if row.attention != BASELINE]
    shown = sorted((row for row in others if row.is_different), key=lambda row: -row.latency_ratio)
    if not others:
        (baseline,) = record.rows
        took = milliseconds(baseline.latency_ms_p50)
        return f"The baseline takes {took} ms; there is nothing to compare it with."
    if not shown:
        return "No mechanism was shown to differ from the baseline in latency."
    said = [
        f"{display_name(row.attention)} {'about ' * row.is_rough}"
        f"{signed_percent(100 * (row.latency_ratio - 1))}{' latency' * (not index)}"
        for index, row in enumerate(shown)
    ]
    return f"Over the baseline: {listing(said)}."


def paired_latencies(record: ProfileRecord) -> list[PairedLatency]:
    """Return the latency of each mechanism beside the baseline's."""
    base = next((row.latency_ms_p50 for row in record.rows if row.attention == BASELINE), None)
    return [
        PairedLatency(display_name(row.attention), row.latency_ms_p50, base, row.latency_ratio)
        for row in record.rows
        if base and row.attention != BASELINE
    ]


def roofline_lines(record: ProfileRecord) -> list[str]:
    """Return for each mechanism the bound of its added work, and how its added time compares with it."""
    batch = record.settings.batch_size
    return [_roofline(row, row.roofline, batch) for row in record.rows if row.roofline]


def _roofline(row: ProfileRow, roofline: Roofline, batch: int) -> str:
    flops = batch * (2 * row.macs_added + row.element_wise_added)
    if roofline.bound == "memory":
        least = f"moves {byte_size(batch * row.bytes_moved_added)}, {milliseconds(roofline.memory_ms)} ms"
    else:
        least = f"does {magnitude(flops)} operations, {milliseconds(roofline.arithmetic_ms)} ms"
    said = [f"as written it {least}"]
    factors = [roofline.added_over_bound]
    if roofline.least_ms is not None and roofline.least_reads_writes is not None:
        reads, writes = roofline.least_reads_writes
        passes = f"{count(reads, 'read')} and {count(writes, 'write')}"
        said.append(f"{passes} of its maps would take {milliseconds(roofline.least_ms)} ms")
        factors.append(roofline.added_over_least)
    if row.latency_added_ms <= 0 or not row.is_different:
        said.append("no added time is shown")
    else:
        times = " and ".join(f"{factor:.{1 if factor < 9.95 else 0}f}×" for factor in factors if factor)
        said.append(f"measured +{milliseconds(row.latency_added_ms)} ms, {times} as long")
    return f"{display_name(row.attention)}: bound by {roofline.bound}; {'; '.join(said)}"


def increase(row: ProfileRow, key: str) -> str:
    """Write by how many per cent a kind of cost grows."""
    percent = row.cost(key).increase_percent
    return (
        "0"
        if percent == 0
        else "< 0.01 %"
        if percent is not None and 0 < percent < 0.005
        else signed_percent(percent)
    )


def joules(value: float | None, *, sign: bool = False) -> str:
    """Write joules, or watts, with about three significant digits and commas between thousands."""
    if value is None:
        return NOTHING
    text = f"{value:,.0f}" if abs(value) >= 99.95 else milliseconds(value)
    return f"{'+' * (sign and value > 0)}{text}".replace("-", "−")


def byte_size(size: float | None, *, sign: bool = False) -> str:
    """Write bytes with three significant digits and kB, MB, GB or TB of powers of 1000."""
    text = magnitude(size)
    text = f"{text}B" if " " in text else f"{text} B"
    return f"+{text}" if sign and size and size > 0 else text.replace("-", "−")
