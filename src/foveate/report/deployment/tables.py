"""The tables of `foveate deploy`, for people and for CSV."""

from collections.abc import Iterator

from foveate.notation import NOTHING, count, decimals, interval, milliseconds, p_value, ratio_range
from foveate.records.deployment import EAGER, DeployedRecord
from foveate.records.labels import BASELINE, display_name, name_with_seed
from foveate.report.core.notation import points, spread
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.deployment.sentences import form_name
from foveate.report.deployment.summary import DeployedSummary, FormSummary, MechanismDeployed
from foveate.report.profile.words import byte_size

__all__ = ["deployed_numbers", "deployed_tables"]


def deployed_tables(summary: DeployedSummary) -> list[Table]:
    """Return the tables: accuracy and latency by form, and parts left in float32 where int8 loses much."""
    tables = [_accuracy(summary)]
    if any(form.latency for row in summary.rows for form in row.forms):
        tables.append(_latency(summary))
    if any(row.blame for row in summary.rows):
        tables.append(_parts(summary))
    return tables


def _accuracy(summary: DeployedSummary) -> Table:
    columns = [
        Column("Mechanism"),
        Column("Form", "How the networks are run.", is_text=True),
        Column("Accuracy, %", "Mean ± standard deviation over seeds."),
        Column("Change, points", "Against eager float32 on the same images, with its 95 % interval."),
        Column("p", "Of no change, adjusted for the mechanisms (Holm)."),
        Column("Lost, gained", "Answers that became wrong, and right, over all seeds."),
    ]
    rows = [[*_names(row, form), *_change(form)] for row in summary.rows for form in row.forms]
    return Table("deployed", "Accuracy as deployed", columns, rows)


def _change(form: FormSummary) -> list[Cell]:
    accuracy, drop = Cell(spread(form.accuracy, 2, scale=100)), form.drop
    if drop is None:
        return [accuracy, Cell(""), Cell(""), Cell("")]
    if drop.lost + drop.gained == 0:
        return [accuracy, Cell("0"), Cell(""), Cell("0, 0")]
    bounds = f"({interval(drop.interval, 2, scale=100)})" if drop.interval else ""
    change = Cell(points(drop.difference), bounds)
    return [accuracy, change, Cell(p_value(drop.p_adjusted)), Cell(f"{drop.lost}, {drop.gained}")]


def _latency(summary: DeployedSummary) -> Table:
    columns = [
        Column("Mechanism"),
        Column("Form", "How one network of each mechanism is run.", is_text=True),
        Column("p50, ms", f"One image on {count(summary.settings.threads, 'thread')}, median over rounds."),
        Column("× eager", "Of the same network, the median of the ratios within rounds, and its interval."),
        Column("× baseline", "Of the baseline in the same form, likewise."),
        Column("File", "Size of the ONNX file."),
    ]
    rows = [[*_names(row, form), *_times(row, form)] for row in summary.rows for form in row.forms]
    return Table("deployed_latency", "Latency as deployed", columns, rows)


def _times(row: MechanismDeployed, form: FormSummary) -> list[Cell]:
    latency, size = form.latency, Cell("" if form.bytes is None else byte_size(form.bytes))
    if latency is None:
        return [Cell(NOTHING)] * 3 + [size]
    beside_eager = beside_baseline = Cell("")
    if form.form != EAGER:
        beside_eager = Cell(f"{latency.eager_ratio:.3f}", f"({ratio_range(latency.eager_ratio_ci95)})")
    if row.attention != BASELINE and latency.baseline_ratio is not None:
        between = ratio_range(latency.baseline_ratio_ci95)
        beside_baseline = Cell(f"{latency.baseline_ratio:.3f}", f"({between})")
    return [Cell(milliseconds(latency.p50)), beside_eager, beside_baseline, size]


def _names(row: MechanismDeployed, form: FormSummary) -> list[Cell]:
    """Return the cells of the mechanism, which is named in its first row alone, and of the form."""
    is_first = form is row.forms[0]
    mechanism = Cell(display_name(row.attention), count(row.runs, "network")) if is_first else Cell("")
    return [mechanism, Cell(form_name(form.form))]


def _parts(summary: DeployedSummary) -> Table:
    columns = [
        Column("Network"),
        Column(
            "Left in float32",
            "One stage, then each layer of the best; a convolution has the name of the norm in it.",
            is_text=True,
        ),
        Column("Operators"),
        Column("Accuracy, %", "On images that no test is on."),
        Column("Distance", "Root mean square difference of the logits from those of eager float32."),
    ]
    rows = []
    for row in summary.rows:
        if row.blame is None:
            continue
        found = row.blame.row
        name = name_with_seed(row.attention, found.seed)
        ends = [
            ("nothing", None, found.int8_accuracy, found.int8_distance),
            *((one.part, one.operators, one.accuracy, one.distance) for one in found.stages),
            *((f"{one.part} alone", one.operators, one.accuracy, one.distance) for one in found.layers),
            ("everything", None, found.float_accuracy, 0.0),
        ]
        rows += [
            [
                Cell(name if number == 0 else ""),
                Cell(part),
                Cell("" if operators is None else str(operators)),
                Cell(decimals(accuracy, 2, scale=100)),
                Cell(decimals(distance, 3)),
            ]
            for number, (part, operators, accuracy, distance) in enumerate(ends)
        ]
    return Table("deployed_parts", "Which part of the network int8 loses by", columns, rows)


def deployed_numbers(record: DeployedRecord) -> dict[str, list[dict[str, object]]]:
    """Return the rows as they were measured, for CSV files."""
    found = {"deployed": [*_accuracies(record)], "deployed_latency": [*_latencies(record)]}
    return {stem: rows for stem, rows in found.items() if rows}


def _accuracies(record: DeployedRecord) -> Iterator[dict[str, object]]:
    for row in record.accuracies:
        yield {
            "network": row.key.name,
            "attention": row.label,
            "seed": row.seed,
            "form": row.key.form.name,
            "accuracy": row.accuracy,
            "images": row.images,
            "lost": row.lost,
            "gained": row.gained,
            "bytes": row.bytes,
        }


def _latencies(record: DeployedRecord) -> Iterator[dict[str, object]]:
    for row in record.latencies:
        eager, baseline = row.eager_ratio_ci95 or (None, None), row.baseline_ratio_ci95 or (None, None)
        yield {
            "network": row.key.name,
            "attention": row.label,
            "seed": row.seed,
            "form": row.key.form.name,
            "threads": row.key.threads,
            "p50": row.p50,
            "p95": row.p95,
            "eager_ratio": row.eager_ratio,
            "eager_ratio_low": eager[0],
            "eager_ratio_high": eager[1],
            "baseline_ratio": row.baseline_ratio,
            "baseline_ratio_low": baseline[0],
            "baseline_ratio_high": baseline[1],
            "rounds": row.rounds,
        }
