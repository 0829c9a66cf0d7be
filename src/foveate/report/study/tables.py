"""The tables of a study that people read, once for the page, Markdown and LaTeX."""

from foveate.evaluation.comparisons import Comparison
from foveate.evaluation.significance import Outcome
from foveate.notation import NOTHING, chance, count, decimals, magnitude, p_value, signed_percent
from foveate.records.labels import BASELINE, display_name
from foveate.records.metric import Metric
from foveate.report.core.notation import p_equation, pair_name, score, score_deviation, spread
from foveate.report.core.outcomes import outcome_cell, untested_because
from foveate.report.core.paired import RATIO_NOTE
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.looks import adjustment
from foveate.report.study.summary import Summary, SummaryRow
from foveate.report.study.words import lacking_metrics

__all__ = [
    "change_from_baseline",
    "family_sentence",
    "latency_change",
    "results_table",
    "tests_table",
    "training_table",
]


CAPTIONS = {
    "baseline": "Paired tests against the baseline",
    "all": "Paired tests of all mechanisms",
    "planned": "Paired tests of the planned comparisons",
}
"""The captions of the table of tests, by what was tested."""


def results_table(summary: Summary) -> Table:
    """Return one row per candidate: each metric, its price, and whether it differs from the baseline."""
    settings, cost = summary.study.statistics, summary.cost
    lacking = lacking_metrics(summary)
    primary, *others = (metric for metric in summary.study.task.metrics if metric not in lacking)
    batch = "" if cost.batch_size is None else f", batch size {cost.batch_size}"
    device = "" if cost.device is None else f", device {cost.device}"
    columns = [
        Column("Mechanism", "The baseline is the network without attention."),
        Column(primary.heading, _note_of_primary(primary)),
        *(Column(metric.heading, metric.note) for metric in others),
        Column("Parameters", "Learned numbers of the network; below, the change to the baseline."),
        Column("Multiply-adds", "Of one image; below, the change to the baseline."),
        Column(
            "Latency p50, ms",
            f"Median time of one pass measured here{batch}{device}; below, the change to the baseline: "
            f"{RATIO_NOTE}. A ? marks one that is rough, or not significant.",
        ),
        Column(
            "Efficiency score",
            f"{primary.title} gained{f' in {unit}' if (unit := primary.unit_of_differences) else ''} per 1 % "
            "of parameters added.",
        ),
        Column(
            "Adjusted p",
            f"Paired test against the baseline, adjusted for {count(summary.family, 'comparison')} "
            f"({adjustment(summary)}); under {settings.alpha:g} a difference is significant. Below, "
            "what was shown.",
        ),
    ]
    rows = [
        [
            Cell(display_name(row.attention), count(row.runs, "seed")),
            _mean_cell(row, primary),
            *(
                Cell(
                    metric.write(row.scores[metric.name].mean),
                    score_deviation(row.scores[metric.name], metric),
                )
                for metric in others
            ),
            Cell(
                magnitude(row.price.parameters),
                change_from_baseline(row, row.price.parameters_increase_percent),
            ),
            Cell(magnitude(row.price.macs), change_from_baseline(row, row.price.macs_increase_percent)),
            Cell(decimals(row.price.latency_ms_p50, 2), latency_change(row, summary)),
            Cell(decimals(row.efficiency_score, 2)),
            _outcome(summary.against_baseline.get(row.attention)),
        ]
        for row in summary.rows
    ]
    return Table("results", "Results by mechanism", columns, rows)


def tests_table(summary: Summary) -> Table:
    """Return one row per comparison."""
    metric, settings = summary.metric, summary.study.statistics
    power = f"{100 * settings.power:g} %"
    has_images = any(test.new_images for test in summary.comparisons)
    rests = "new images" if summary.rests_on == "new-images" else "these images"
    columns = [
        Column("Pair", "The second minus the first, matched seed by seed."),
        Column(
            metric.heading_of_difference("Difference"),
            f"Mean difference in test {metric.noun}; below, what was shown"
            + (f" with a margin of {metric.write_size(summary.margin)}." if summary.margin else "."),
        ),
        Column(
            "On these images",
            "95 % interval for new seeds on these test images; below, p of the two-sided paired t-test: how "
            "often chance alone would make at least this difference.",
        ),
        *[
            Column(
                "On new images",
                "The same for new seeds on new images of this kind: the chance in the choice of the test "
                "images is added.",
            )
        ]
        * has_images,
        Column(
            "Adjusted p",
            f"p on {rests}, adjusted for {count(summary.family, 'comparison')} ({adjustment(summary)}).",
        ),
        *[
            Column(
                "Equivalence p",
                f"Two one-sided tests against ±{metric.write_size(summary.margin or 0.0)} on {rests}, "
                "adjusted in the same way; below, whether a gain of the margin or more was excluded.",
            )
        ]
        * (summary.margin is not None),
        Column(
            "Better with a new seed, %",
            "Estimated chance that the second is better than the first with the same new seed, on these "
            "images; below, its 95 % interval.",
        ),
        Column("Cohen's d", "Paired (d_z): mean difference over the standard deviation of the differences."),
        Column("Seeds", "Seeds that both have finished."),
        Column(
            metric.heading_of_difference("Detectable"),
            f"Smallest true difference these seeds detect with {power} chance.",
        ),
        Column("Seeds needed", f"To detect a true difference as large as the one seen with {power} chance."),
    ]
    rows = [
        [
            Cell(pair_name(test)),
            Cell(
                metric.write_difference(test.test.difference),
                "" if test.outcome is Outcome.UNTESTED else test.outcome.value,
            ),
            _inferred(metric, test.test.ci95, test.test.p)
            if test.these_images is None
            else _inferred(metric, test.these_images.ci95, test.these_images.p),
            *[_on_new_images(metric, test)] * has_images,
            Cell(p_value(test.p_adjusted), untested_because(test.test)),
            *[_equivalence(test)] * (summary.margin is not None),
            _improvement(test),
            Cell(decimals(test.test.cohens_d, 2)),
            Cell(str(test.test.n)),
            Cell(metric.write_detectable(test.detectable_difference)),
            Cell(magnitude(test.seeds_needed)),
        ]
        for test in summary.comparisons
    ]
    return Table("tests", CAPTIONS[summary.study.design.tested], columns, rows)


def training_table(summary: Summary) -> Table:
    """Return one row per candidate: how fast and how steadily it trains."""
    metric = summary.metric
    columns = [
        Column("Mechanism"),
        Column("Epochs to 95 %", f"First epoch whose validation {metric.noun} {_reaches(metric)}."),
        Column(
            metric.heading_of_difference("Fluctuation"),
            f"Standard deviation of the validation {metric.noun} over the last tenth of the epochs, "
            "of more than ten.",
        ),
        Column(
            "Waiting for images, %",
            "Share of the training's time between the end of one batch and the start of the next.",
        ),
        Column("Training time, s", "Of one run, mean ± standard deviation over seeds."),
    ]
    rows = [
        [
            Cell(display_name(row.attention)),
            Cell(spread(row.epochs_to_95, 1)),
            Cell(score(row.fluctuation, metric)),
            Cell(spread(row.input_share, 1, scale=100)),
            Cell(spread(row.train_seconds, 1)),
        ]
        for row in summary.rows
    ]
    return Table("training", "How training went", columns, rows)


def change_from_baseline(row: SummaryRow, percent: float | None) -> str:
    """Write a change to the baseline; nothing of the baseline itself, or where it was not measured."""
    return "" if row.attention == BASELINE or percent is None else signed_percent(percent)


def latency_change(row: SummaryRow, summary: Summary) -> str:
    """Write the change of the latency, after a question mark where it is rough or not significant."""
    change = change_from_baseline(row, row.price.latency_increase_percent)
    is_sure = not summary.noise and row.price.is_latency_significant
    return change if is_sure or not change else f"? {change}"


def family_sentence(summary: Summary) -> str:
    """Say what was compared, and for how many comparisons p values are adjusted."""
    compared = {
        "baseline": "each mechanism is compared with the baseline",
        "all": "each pair of candidates is compared",
        "planned": "the planned comparisons are made, and no other",
    }[summary.study.design.tested]
    design = summary.study.design
    if design.controls and design.tested != "planned":
        compared += ", and each cost-matched control with its own mechanism"
    adjust = adjustment(summary)
    rest = (
        " Pairs of mechanisms are not tested: that would take power away from these (--family all)."
        if design.tested == "baseline" and len(summary.rows) > 2
        else ""
    )
    return (
        f"Family: {compared}. That is {count(summary.family, 'comparison')}, for which p values are adjusted "
        f"({adjust}).{rest}"
    )


def _inferred(metric: Metric, bounds: tuple[float, float] | None, p: float | None) -> Cell:
    return Cell(metric.write_interval(bounds), "" if p is None else p_equation(p))


def _on_new_images(metric: Metric, test: Comparison) -> Cell:
    found = test.new_images
    return Cell(NOTHING) if found is None else _inferred(metric, found.ci95, found.p)


def _equivalence(test: Comparison) -> Cell:
    p = test.basis.equivalence_p if test.basis else None
    return Cell(p_value(p), "gain under the margin" if test.is_gain_under_margin else "")


def _improvement(test: Comparison) -> Cell:
    found = test.improvement
    if found is None:
        return Cell(NOTHING)
    low, high = map(chance, found.ci95)
    return Cell(chance(found.probability), f"{low} to {high}")


def _mean_cell(row: SummaryRow, metric: Metric) -> Cell:
    described = row.scores[metric.name]
    return Cell(score(described, metric), metric.write_interval(described.ci95))


def _outcome(test: Comparison | None) -> Cell:
    return Cell(NOTHING) if test is None else outcome_cell(test.test, test.p_adjusted, test.outcome)


def _note_of_primary(metric: Metric) -> str:
    is_bounded = metric.low is not None and metric.high is not None
    how = "from Student's t"
    if is_bounded:
        low, high = (f"{metric.scale * bound:g}" for bound in (metric.low or 0, metric.high or 0))
        how = f"Wilson's, with Student's quantile: within {low} and {high}"
    note = (
        "Mean ± standard deviation over seeds on the test part; below, the 95 % interval of the mean "
        f"({how})."
    )
    return f"{metric.note} {note}".lstrip()


def _reaches(metric: Metric) -> str:
    if metric.higher_is_better:
        return "reaches 95 % of the last epoch's"
    return "is as low as the last epoch's over 0.95"
