"""The summary of a study from its records."""

from foveate.evaluation.comparisons import Comparison, compare_candidates
from foveate.evaluation.guessing import guessing
from foveate.evaluation.intervals import AMOUNT, bounds_of
from foveate.evaluation.looks import replay
from foveate.evaluation.metric_differences import metric_differences
from foveate.evaluation.noise import describe_noise, noise_of_cost
from foveate.evaluation.power import detectable_difference
from foveate.evaluation.statistics import Anova, describe, pooled_std, repeated_measures_anova
from foveate.evaluation.study_scores import read_study_scores
from foveate.records.cost import CostRecord, CostRow
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION
from foveate.records.study import StudyRecords
from foveate.report.study.class_changes import class_changes, untested_classes
from foveate.report.study.devices import device_sentences, machine_sentences
from foveate.report.study.dynamics import DYNAMICS
from foveate.report.study.latency import ratio_to_baseline
from foveate.report.study.summary import Price, Summary, SummaryRow
from foveate.report.study.trajectories import trajectories_of
from foveate.report.study.undertraining import is_still_improving
from foveate.report.study.verdict import verdict

__all__ = ["summarise"]

NOT_MEASURED = CostRow()


def summarise(records: StudyRecords) -> Summary:
    """Summarise the finished runs of a study, and give the verdict.

    What could have been detected is computed at the level that the smallest p value of the family must pass
    (alpha over the number of comparisons), because the verdict rests on adjusted p values.
    """
    study = records.study
    scores = read_study_scores(records)
    courses = replay(records, scores) if study.sequential else {}
    comparisons = compare_candidates(records, scores, courses)
    family = len({(one.a, one.b) for one in comparisons})
    alpha = study.statistics.alpha / max(family, 1)
    against_baseline = {test.b: test for test in comparisons if test.a == BASELINE}
    is_unplanned = not study.design.contrasts
    per_class = {
        label: {seed: run.test.per_class for seed, run in by_seed.items()}
        for label, by_seed in records.results.items()
    }
    first = next(run for _, _, run in records.runs())
    summary = Summary(
        study=study,
        cost=records.cost,
        noise=tuple(describe_noise(noise) for noise in noise_of_cost(records.cost)),
        rows=tuple(_row(records, label, against_baseline.get(label)) for label in records.finished),
        comparisons=comparisons,
        family=family,
        alpha_per_test=alpha,
        anova=_anova(records),
        detectable_difference=_detectable_from_baseline(comparisons, alpha, study.statistics.power),
        class_changes=tuple(class_changes(per_class, study.data.classes, study.task.of_class))
        if is_unplanned
        else (),
        untested_classes=tuple(untested_classes(per_class, study.data.classes, study.task.of_class)),
        missing=records.missing,
        report=records.folder / "report" / "index.html",
        asked=len(study.runs),
        scores_obstacle=scores.obstacle or None,
        metric_differences=metric_differences(records, scores, comparisons),
        courses=tuple(courses.values()),
        trajectories=trajectories_of(records),
        devices=(
            *device_sentences([run.environment for _, _, run in records.runs()]),
            *machine_sentences([(label, seed, run.environment) for label, seed, run in records.runs()]),
        ),
        guessing=guessing(first.test.per_class) if study.task == CLASSIFICATION else None,
    )
    return summary.with_verdict(verdict(summary))


def _row(records: StudyRecords, label: str, test: Comparison | None) -> SummaryRow:
    runs = [records.results[label][seed] for seed in sorted(records.results[label])]
    task, price = records.study.task, _price(records.cost, label)
    growth = price.parameters_increase_percent
    gain = test.gain if test else None
    dynamics = {}
    for name, (measure_of, bounds) in DYNAMICS.items():
        values = [measure_of(run.epochs, task.primary) for run in runs]
        dynamics[name] = describe([value for value in values if value is not None], bounds)
    return SummaryRow(
        attention=label,
        runs=len(runs),
        scores={
            metric.name: describe(
                [value for run in runs if (value := run.test.value_if_any(metric)) is not None],
                bounds_of(metric),
            )
            for metric in task.metrics
        },
        price=price,
        efficiency_score=(
            task.primary.scale * gain / growth if gain is not None and growth and growth > 0 else None
        ),
        **dynamics,
        train_seconds=describe([run.seconds for run in runs], AMOUNT),
        still_improving=is_still_improving([run.epochs for run in runs], task.primary),
    )


def _price(cost: CostRecord, label: str) -> Price:
    own, base = cost.rows.get(label, NOT_MEASURED), cost.rows.get(BASELINE, NOT_MEASURED)
    ratio, interval = ratio_to_baseline(cost, label)
    return Price(
        parameters=own.parameters,
        parameters_increase_percent=_increase(own.parameters, base.parameters),
        macs=own.macs,
        macs_increase_percent=_increase(own.macs, base.macs),
        latency_ms_p50=own.latency_ms_p50,
        latency_ms_p95=own.latency_ms_p95,
        latency_ratio=ratio,
        latency_ratio_ci95=interval,
        latency_increase_percent=_increase(ratio, 1.0),
    )


def _increase(value: float | None, base: float | None) -> float | None:
    return 100 * (value / base - 1) if value is not None and base else None


def _anova(records: StudyRecords) -> Anova | None:
    """Compute the ANOVA over the seeds that every candidate has finished."""
    metric, runs = records.study.task.primary, [records.results[label] for label in records.finished]
    seeds = sorted(set.intersection(*(set(of_label) for of_label in runs)))
    if not seeds:
        return None
    return repeated_measures_anova(
        [[of_label[seed].test.value(metric) for of_label in runs] for seed in seeds]
    )


def _detectable_from_baseline(
    comparisons: tuple[Comparison, ...], alpha: float, power: float
) -> float | None:
    """Use the pooled spread of all differences to the baseline, at the fewest seeds that any of them has."""
    spreads = [(test.test.std, test.test.n) for test in comparisons if test.a == BASELINE and test.test.n > 1]
    if not spreads:
        return None
    return detectable_difference(pooled_std(spreads), min(n for _, n in spreads), alpha, power)
