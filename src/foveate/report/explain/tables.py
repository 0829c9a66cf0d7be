"""The tables of `foveate explain`, for people and for CSV."""

from collections.abc import Iterator

from foveate.evaluation.significance import Outcome
from foveate.notation import NOTHING, count, decimals, interval, p_value
from foveate.records.explain import SCORES, UNDIRECTED, ExplainRecord
from foveate.records.labels import display_name
from foveate.report.core.notation import spread
from foveate.report.core.outcomes import outcome_cell
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.explain.summary import ExplainSummary, ScoreSummary

__all__ = [
    "NOTES",
    "learned_numbers",
    "learned_table",
    "score_numbers",
    "scores_table",
    "test_numbers",
    "tests_table",
]

Row = dict[str, object]

NOTES = {
    "focus_ratio": "Share of a map's energy inside the object; a random map has the object's share of area.",
    "noise_suppression": "Mean of the maps outside the object over their mean inside it; lower is better.",
    "pointing_game": "Share of images whose highest pixel hits the object, within a small margin.",
    "view_consistency": "Cosine between the map of an image and that of it mirrored, or moved and darker.",
    "class_consistency": "Mean cosine between the maps of two images of a class; high where all are alike.",
    "road": "Half the difference between the losses of probability when the most marked pixels are removed "
    "and when the least marked ones are; a random map has 0, the most is 0.5.",
}
"""How to read each score."""
FOUND = (
    "Annotated objects, one an image, with a detection of their class that overlaps them (IoU of at least "
    "0.5): mean over networks. The scores are over these alone, which need not be the same ones for all."
)
HIGHER_OR_LOWER = {Outcome.BETTER: "higher", Outcome.WORSE: "lower"}
"""The words for the outcome in a score of which neither direction is better."""


def scores_table(summary: ExplainSummary) -> Table:
    """Return a table with a row for each mechanism and a column for each score."""
    has_seeds = any(row.runs > 1 for row in summary.rows)
    over = (
        "Mean ± standard deviation over seeds, below the 95 % interval of the mean"
        if has_seeds
        else "Mean over images, below its 95 % interval"
    )
    columns = [Column("Mechanism", f"{over}.")]
    has_found = any(row.found is not None for row in summary.rows)
    if has_found:
        columns.append(Column("Objects found", FOUND))
    columns += [Column(SCORES[name].title, NOTES[name]) for name in summary.scores]
    rows = [
        [
            Cell(display_name(row.attention), count(row.runs, "network")),
            *([_found_cell(row.found, summary.data.images)] if has_found else []),
            *(_score_cell(row.scores[name], has_seeds) for name in summary.scores),
        ]
        for row in summary.rows
    ]
    return Table("explain_scores", "Scores of the maps", columns, rows)


def _found_cell(found: float | None, images: int) -> Cell:
    if found is None:
        return Cell(NOTHING)
    return Cell(f"{decimals(found, 0 if found.is_integer() else 1)} of {images:,}")


def _score_cell(score: ScoreSummary | None, has_seeds: bool) -> Cell:
    """Return the cell of a score; in a table over seeds, any other interval says what it is over."""
    if score is None:
        return Cell(NOTHING)
    described = score.description
    bounds = interval(described.ci95, 3) if described.ci95 else ""
    if score.over == "seeds":
        return Cell(spread(described, 3), bounds)
    over = f" over {score.over}" if has_seeds and bounds else ""
    return Cell(decimals(described.mean, 3), bounds + over)


def tests_table(summary: ExplainSummary) -> Table:
    """Return a table with a row for each test of several seeds."""
    tests = [one for one in summary.tests if one.test.n > 1]
    columns = [
        Column("Score"),
        Column("Mechanism", "Against the baseline, matched seed by seed."),
        Column("Difference", "Mean over seeds; below, its own 95 % interval."),
        Column("p", "Two-sided paired t-test."),
        Column("Adjusted p", f"Adjusted for {count(len(tests), 'comparison')} (Holm)."),
        Column("Seeds"),
    ]
    rows = [
        [
            Cell(SCORES[one.score].title),
            Cell(display_name(one.b)),
            Cell(decimals(one.test.difference, 3), interval(one.test.ci95, 3) if one.test.ci95 else ""),
            Cell(p_value(one.test.p)),
            outcome_cell(
                one.test, one.p_adjusted, one.outcome, HIGHER_OR_LOWER if one.score in UNDIRECTED else None
            ),
            Cell(str(one.test.n)),
        ]
        for one in tests
    ]
    return Table("explain_tests", "Maps against those of the baseline", columns, rows)


def learned_table(summary: ExplainSummary) -> Table:
    """Return the table of the numbers that attention learned, by site."""
    columns = [
        Column("Place", "Of the attention, from the first stage to the last."),
        Column("Mechanism"),
        Column(
            "Number",
            "By its name in the equations of the mechanism. tau is the temperature τ of DMSCA: its channel "
            "weights are σ(f / τ), and the smaller τ is, the nearer they are to 0 or 1.",
        ),
        Column("Value", "Mean ± standard deviation over seeds."),
    ]
    rows = [
        [
            Cell(one.site),
            Cell(display_name(one.attention)),
            Cell(one.number),
            Cell(spread(one.description, 3)),
        ]
        for one in summary.learned
    ]
    return Table("explain_learned", "What the attention learned, by layer", columns, rows)


def score_numbers(record: ExplainRecord) -> Iterator[Row]:
    """Give each score of each network, for CSV."""
    for row in record.rows:
        for name, score in row.scores.items():
            low, high = score.ci95 or (None, None)
            head = {"network": row.key.name, "attention": row.label, "seed": row.seed, "score": name}
            values = {"mean": score.mean, "std": score.std, "low": low, "high": high}
            yield {**head, **values, "n": score.n, "undefined": score.undefined}


def test_numbers(summary: ExplainSummary) -> Iterator[Row]:
    """Give each test, for CSV."""
    for test in summary.tests:
        content = test.to_json()
        yield {key: content[key] for key in ("score", "a", "b", "difference", "std", "p", "p_adjusted", "n")}


def learned_numbers(record: ExplainRecord) -> Iterator[Row]:
    """Give each number that the attention of each network learned, for CSV."""
    for row in record.rows:
        for site, numbers in row.learned.items():
            for name, value in numbers.items():
                head = {"attention": row.label, "seed": row.seed, "site": site}
                yield {**head, "number": name, "value": value}
