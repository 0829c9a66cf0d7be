"""The tables of `foveate explain --gates`, for people and for CSV."""

from collections.abc import Iterator

from foveate.evaluation.gate_verdicts import ReplacementTest, Tests
from foveate.notation import NOTHING, count, decimals, interval, p_value
from foveate.records.gates import GatesRecord, Replacement
from foveate.records.labels import display_name
from foveate.report.core.notation import points, spread
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.gates.sentences import margin_in_words
from foveate.report.gates.summary import GatesSummary

__all__ = ["REPLACED", "gate_numbers", "gates_tables"]

REPLACED = {
    Replacement.WHOLE: "Mean per element",
    Replacement.CHANNEL: "Mean per channel",
    Replacement.SPATIAL: "Mean per position",
    Replacement.SWAPPED: "Another image's",
}
"""What stands in a gate's place, as tables and charts name it."""
NOTES = {
    Replacement.WHOLE: "With the mean of the gate over images in its place, C · H · W numbers",
    Replacement.CHANNEL: "With its mean over images and positions, C numbers, which a layer can absorb",
    Replacement.SPATIAL: "With its mean over images and channels, H · W numbers",
    Replacement.SWAPPED: "With the gate of another image, drawn at random",
}
GATE = Column("Gate", "Its site, and its name in the equations where a site has several.")


def gates_tables(summary: GatesSummary) -> list[Table]:
    """Return the tables: changes and verdicts by gate, accuracies by gate, all gates replaced at once."""
    return [_changes(summary), _accuracies(summary), _together(summary)]


def _changes(summary: GatesSummary) -> Table:
    columns = [
        GATE,
        Column("Mechanism"),
        Column("Between images, %", "Share of the gate's variance that lies between images."),
        *(
            Column(f"{title}, points", f"{NOTES[kind]}: the change in accuracy.")
            for kind, title in REPLACED.items()
        ),
        Column(
            "The gate",
            "is constant where accuracy with its mean per element is shown to stay within "
            f"{margin_in_words(summary.margin)}; reacts where it differs significantly; else inconclusive.",
            is_text=True,
        ),
    ]
    rows = [
        [
            Cell(gate.name),
            Cell(display_name(row.attention)),
            Cell(_percent(gate.share.mean)),
            *(_change(gate.tests, kind) for kind in REPLACED),
            Cell(gate.verdict.value),
        ]
        for row in summary.rows
        for gate in row.gates
    ]
    return Table("gates", "The gates, site by site", columns, rows)


def _change(tests: Tests, kind: Replacement) -> Cell:
    return Cell(points(tests[kind].equivalence.difference)) if kind in tests else Cell(NOTHING)


def _accuracies(summary: GatesSummary) -> Table:
    columns = [
        GATE,
        Column("Mechanism"),
        Column(
            "Between images, %",
            "Of the variance of its mean over positions, and of its mean over channels.",
        ),
        *_accuracy_columns(),
        Column("p", "Of the test that its mean per element stays within the margin, adjusted (Holm)."),
    ]
    rows = [
        [
            Cell(gate.name),
            Cell(display_name(row.attention)),
            Cell(f"{_percent(gate.channel_share.mean)}, {_percent(gate.spatial_share.mean)}"),
            Cell(spread(row.accuracy, 2, scale=100)),
            *_replaced(gate.tests),
            Cell(p_value(gate.tests[Replacement.WHOLE].p_equivalence)),
        ]
        for row in summary.rows
        for gate in row.gates
    ]
    return Table("gates_accuracy", "Accuracy with one gate replaced", columns, rows)


def _together(summary: GatesSummary) -> Table:
    columns = [
        Column("Mechanism"),
        Column("Gates"),
        *_accuracy_columns(),
    ]
    rows = [
        [
            Cell(display_name(row.attention), count(row.runs, "network")),
            Cell(str(len(row.gates))),
            Cell(spread(row.accuracy, 2, scale=100)),
            *_replaced(row.together),
        ]
        for row in summary.rows
    ]
    return Table("gates_together", "All gates of a network replaced at once", columns, rows)


def _accuracy_columns() -> list[Column]:
    return [
        Column("As it is, %", "Accuracy, mean ± standard deviation over seeds."),
        *(
            Column(f"{title}, %", f"{NOTES[kind]}; below, the change in points with its 90 % interval.")
            for kind, title in REPLACED.items()
        ),
    ]


def _replaced(tests: Tests) -> list[Cell]:
    return [_accuracy(tests[kind]) if kind in tests else Cell(NOTHING) for kind in REPLACED]


def _accuracy(test: ReplacementTest) -> Cell:
    found = test.equivalence
    bounds = f" ({interval(found.interval, 2, scale=100)})" if found.interval else ""
    return Cell(decimals(test.accuracy.mean, 2, scale=100), f"{points(found.difference)}{bounds}")


def _percent(share: float | None) -> str:
    return decimals(share, 0, scale=100)


def gate_numbers(record: GatesRecord) -> Iterator[dict[str, object]]:
    """Give each gate of each network, and each network with all gates replaced, for CSV."""
    for row in record.rows:
        network = {"network": row.key.name, "attention": row.label, "seed": row.seed}
        scores = {"images": row.images, "accuracy": row.accuracy}
        for gate in row.gates:
            replaced = {kind: gate.replaced.get(kind) for kind in REPLACED}
            yield {
                **network,
                "site": gate.site,
                "factor": gate.factor,
                "mean": gate.mean,
                "between_images": gate.between_images,
                "share": gate.share,
                "channel_share": gate.channel_share,
                "spatial_share": gate.spatial_share,
                **scores,
                **{kind.value: score and score.accuracy for kind, score in replaced.items()},
            }
        nothing = dict.fromkeys(
            ("factor", "mean", "between_images", "share", "channel_share", "spatial_share")
        )
        together = {kind: row.together.get(kind) for kind in REPLACED}
        yield {
            **network,
            "site": "all",
            **nothing,
            **scores,
            **{kind.value: score and score.accuracy for kind, score in together.items()},
        }
