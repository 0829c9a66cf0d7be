"""The tables of a profile, shared by the page, the terminal and CSV."""

from collections.abc import Callable, Iterator

from foveate.notation import NOTHING, count, decimals, magnitude, milliseconds, ratio_range
from foveate.records.energy import EnergyFigures
from foveate.records.labels import BASELINE, display_name
from foveate.records.profile import ProfileRecord, ProfileRow
from foveate.report.core.paired import RATIO_NOTE
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.profile.words import byte_size, increase, joules

__all__ = ["energy_table", "latency_table", "numbers", "parts_table", "runtime_table", "work_table"]


def work_table(record: ProfileRecord) -> Table:
    """Return the table of counted work: the whole of the baseline, and what each mechanism adds."""
    step = "training step" if record.settings.mode == "training" else "inference"
    columns = [
        Column("Mechanism", "The baseline has its whole cost; the others have what they add to it."),
        Column("Parameters", "Learned numbers."),
        Column("Multiply-adds", f"Of convolutions and matrix products, of one image in one {step}."),
        Column(
            "Element-wise",
            "Operations of all other operators, of one image: one per element written, or read to reduce.",
        ),
        Column(
            "Bytes moved",
            "Read and written by all operators as the equations are written, without fusion; of one image.",
        ),
    ]
    rows = [
        [Cell(display_name(row.attention), count(row.sites, "site") if row.sites else "")]
        + [
            _added(row, key, write)
            for key, write in (
                ("parameters", magnitude),
                ("macs", magnitude),
                ("element_wise", magnitude),
                ("bytes_moved", byte_size),
            )
        ]
        for row in record.rows
    ]
    return Table("work", "Work, counted", columns, rows)


def latency_table(record: ProfileRecord) -> Table:
    """Return the table of measurements: latency beside the baseline, throughput, memory."""
    settings = record.settings
    step = "One training step" if settings.mode == "training" else "One inference"
    columns = [
        Column("Mechanism", "A ? marks an unreliable difference; the warnings say why."),
        Column("p50, ms", f"{step} of a batch, median over {record.timing.rounds} rounds."),
        Column("p95, ms", "Nineteen of twenty take no longer."),
        Column("× baseline", f"{RATIO_NOTE[0].upper()}{RATIO_NOTE[1:]}."),
        Column("Quartiles", "Between these lies the middle half of those ratios: their spread."),
        Column("95 % interval", "Of the median ratio, by order statistics."),
        Column("Images/s", "Batch size over p50."),
        Column(
            "Peak memory",
            f"Weights, images and the most that a step has allocated at once"
            f"{'; gradients and momentum too' if settings.mode == 'training' else ''}.",
        ),
        Column("Added", "To the baseline's peak."),
    ]
    if settings.compile:
        columns.append(Column("Compile, s", "The first call, without a cache; not part of any latency."))
    rows = []
    for row in record.rows:
        is_baseline = row.attention == BASELINE
        cells = [
            display_name(row.attention),
            milliseconds(row.latency_ms_p50),
            milliseconds(row.latency_ms_p95),
            "" if is_baseline else f"{'? ' if row.is_doubtful else ''}{row.latency_ratio:.3f}",
            "" if is_baseline else ratio_range(row.latency_ratio_quartiles),
            "" if is_baseline else ratio_range(row.latency_ratio_ci95),
            _rate(row.images_per_second),
            NOTHING if row.peak_bytes is None else byte_size(row.peak_bytes),
            "" if is_baseline else _signed_bytes(row.peak_bytes_added),
        ]
        cells += [decimals(row.compile_seconds, 1)] if settings.compile else []
        rows.append([Cell(cell) for cell in cells])
    return Table("latency", "Latency and memory, measured", columns, rows)


def runtime_table(record: ProfileRecord) -> Table | None:
    """Return the table of each network in the other runtime, beside torch; None without a runtime."""
    if not record.runtime_rows:
        return None
    columns = [
        Column("Mechanism"),
        Column(
            "Runtime", "torch runs the network eagerly, in float32, with foveate's kernels.", is_text=True
        ),
        Column("p50, ms", f"One inference of a batch, median over {record.timing.rounds} rounds."),
        Column("× torch", "Of the same network, the median of the ratios within rounds."),
        Column("95 % interval", "Of that median, by order statistics."),
        Column("× baseline", "Of the network without attention in the same runtime and precision, likewise."),
        Column("Its interval", "Of that median."),
        Column("File", "Size of the ONNX file."),
    ]
    rows = []
    for row in record.rows:
        is_baseline = row.attention == BASELINE
        cells = [display_name(row.attention), "torch", milliseconds(row.latency_ms_p50), "", ""]
        cells += _beside_baseline(is_baseline, row.latency_ratio, row.latency_ratio_ci95)
        rows.append([*map(Cell, cells), Cell("")])
        for one in record.runtime_rows:
            if one.attention == row.attention:
                cells = ["", f"{one.runtime} {one.precision}", milliseconds(one.latency_ms_p50)]
                cells += [f"{one.eager_ratio:.3f}", ratio_range(one.eager_ratio_ci95)]
                cells += _beside_baseline(is_baseline, one.latency_ratio, one.latency_ratio_ci95)
                rows.append([*map(Cell, cells), Cell(byte_size(one.bytes))])
    return Table("runtimes", "As deployed", columns, rows)


def _beside_baseline(is_baseline: bool, ratio: float, interval: tuple[float, float] | None) -> list[str]:
    return ["", ""] if is_baseline else [f"{ratio:.3f}", ratio_range(interval)]


def energy_table(record: ProfileRecord) -> Table | None:
    """Return the table of energy beside the baseline; None where it was not measured."""
    figures = [(row.attention, "torch", row.energy) for row in record.rows]
    figures += [(one.attention, f"{one.runtime} {one.precision}", one.energy) for one in record.runtime_rows]
    columns = [
        Column("Mechanism"),
        Column(
            "Joules per 1,000 images", "Of everything that the counter sees, idle power included; the median."
        ),
        Column("× baseline", "The median of the ratios within rounds."),
        Column("Quartiles", "Between these lies the middle half of those ratios."),
        Column(
            "95 % interval",
            "Of the median ratio, by order statistics; without 1 in it, a difference is shown.",
        ),
        Column("Added, J", "To the baseline's, per 1,000 images, by the ratio."),
        Column("Mean power, W", "While the network runs, likewise the median."),
    ]
    with_runtimes = bool(record.runtime_rows)
    if with_runtimes:
        columns.insert(1, Column("Runtime", "Ratios are to the baseline in the same one.", is_text=True))
    rows = []
    for row in record.rows:
        own = [(runtime, energy) for label, runtime, energy in figures if label == row.attention and energy]
        for index, (runtime, energy) in enumerate(own):
            cells = ["" if index else display_name(row.attention), *[runtime] * with_runtimes]
            rows.append([*map(Cell, cells + _energy(energy, row.attention == BASELINE))])
    return Table("energy", "Energy, measured", columns, rows) if rows else None


def _energy(figures: EnergyFigures, is_baseline: bool) -> list[str]:
    beside = [f"{figures.ratio:.3f}", ratio_range(figures.ratio_quartiles), ratio_range(figures.ratio_ci95)]
    beside.append(joules(figures.added_joules, sign=True))
    return [
        joules(figures.joules_per_1000_images),
        *([""] * len(beside) if is_baseline else beside),
        joules(figures.watts),
    ]


def parts_table(record: ProfileRecord) -> Table | None:
    """Return the table of the times of each mechanism's parts, or None without `--detail`."""
    rows = []
    for row in record.rows:
        parts = row.parts_ms or {}
        for index, (part, time) in enumerate(parts.items()):
            rows.append(
                [
                    Cell(display_name(row.attention) if index == 0 else ""),
                    Cell(part),
                    Cell(milliseconds(time)),
                    Cell(f"{100 * time / max(*parts.values(), 1e-9):.0f} %"),
                ]
            )
    columns = [
        Column("Mechanism"),
        Column(
            "Part",
            "A direct child of the mechanism's module; the rest is what its own forward does.",
            is_text=True,
        ),
        Column("ms", "Summed over all sites, in one inference of a batch, run eagerly as written."),
        Column("Share", "Of the mechanism's whole time; timing the parts adds some of its own."),
    ]
    return Table("parts", "Where the time goes", columns, rows) if rows else None


def numbers(record: ProfileRecord) -> Iterator[dict[str, object]]:
    """Yield the rows for CSV with each number in its own column; only the JSON has the parts."""
    for row in record.rows:
        flat: dict[str, object] = {}
        values = row.to_json()
        values |= {f"energy_{key}": value for key, value in values.pop("energy", {}).items()}
        for key, value in values.items():
            if key.endswith(("quartiles", "ci95")):
                flat[f"{key}_low"], flat[f"{key}_high"] = value or (None, None)
            elif key not in ("roofline", "parts_ms"):
                flat[key] = value
        for key in (
            "bound",
            "memory_ms",
            "arithmetic_ms",
            "added_over_bound",
            "least_ms",
            "added_over_least",
        ):
            flat[f"roofline_{key}"] = getattr(row.roofline, key, None)
        yield flat


def _added(row: ProfileRow, key: str, write: Callable[[float | None], str]) -> Cell:
    if row.attention == BASELINE:
        return Cell(write(row.cost(key).value))
    added, share = row.cost(key).added, increase(row, key)
    return Cell(f"{'+' * (added > 0)}{write(added)}", share) if added else Cell("0")


def _signed_bytes(size: float | None) -> str:
    return NOTHING if size is None else byte_size(size, sign=True)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"
