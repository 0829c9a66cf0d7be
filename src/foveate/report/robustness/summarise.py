"""The summary of a robustness record: relative errors, and tests against the baseline."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from foveate.evaluation.intervals import AMOUNT, SHARE, Bounds, bounds_of
from foveate.evaluation.significance import outcome
from foveate.evaluation.statistics import Description, PairedTest, adjust_family, describe, paired_test
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION, Metric, TaskRecord
from foveate.records.robustness import CLEAN, COMMON, SEVERITIES, Condition, ConditionRow, RobustnessRecord
from foveate.report.robustness.networks import (
    Measured,
    Network,
    Score,
    find_measured,
    mean_of_all,
    minus,
)
from foveate.report.robustness.summary import (
    ADJUST,
    AttackSummary,
    BaselineTest,
    CorruptionSummary,
    MechanismSummary,
    MetricSummary,
    RobustnessSummary,
    SeveritySummary,
    Statistics,
    beside_of,
)

__all__ = ["summarise_robustness"]

CLEAN_IMAGES: Condition = (CLEAN, None)


def summarise_robustness(record: RobustnessRecord) -> RobustnessSummary:
    """Summarise a record by mechanism, over its seeds.

    With E the error rate and the sums over severities, of each corruption c and of runs of the same seed,
        CE_c = Σ E_c / Σ E_c of the baseline,
        relative CE_c = Σ (E_c - E_clean) / Σ (E_c - E_clean of the baseline);
    mCE and relative mCE are their means over the 15 common corruptions where all of them were measured, and
    over everything that was measured otherwise. With P the primary metric of a detection or a segmentation,
    and the same means in place of the sums (Michaelis et al. 2019),
        mPC = mean over c of P_c,
        rPC = mPC / P_clean. A corruption of which a severity that was asked for is
    missing is excluded. Tests against the baseline are paired by seed and adjusted for their number (Holm);
    those of single corruptions are a family of their own.
    """
    study = _Study(find_measured(record), record.task)
    measured, averaged = study.measured, study.averaged
    conditions = [condition for name in averaged for condition in measured.of(name)]
    images = _images(measured.networks, conditions)
    return RobustnessSummary(
        task=record.task,
        data=record.data.name,
        prepared=record.data.prepared,
        images=max(images, default=0),
        fewest_images=min(images, default=0),
        clean_images=max(_images(measured.networks, [CLEAN_IMAGES]), default=0),
        done=measured.done,
        corruptions=tuple(measured.severities),
        averaged=averaged,
        severities=tuple(sorted({severity for _, severity in conditions if severity is not None})),
        standard=averaged == COMMON
        and all(set(measured.severities[name]) == set(SEVERITIES) for name in COMMON),
        statistics=Statistics(),
        rows=tuple(study.mechanism(label) for label in study.by_label),
        tests=tuple(_adjust(study.pair(study.corrupted))),
        by_corruption=tuple(study.by_corruption()),
        by_severity=tuple(row for label in study.by_label for row in study.by_severity(label)),
        attacks=tuple(_attacks(study.by_label)),
        left_out=record.left_out,
        warnings=record.warnings,
        others=tuple(study.others()) if record.task != CLASSIFICATION else (),
    )


@dataclass(frozen=True)
class _Pairs:
    """The test of a mechanism against the baseline, not adjusted yet."""

    label: str
    test: PairedTest
    clean_difference: float | None


class _Study:
    """The networks by mechanism, each beside the baseline of the same seed."""

    def __init__(self, measured: Measured, task: TaskRecord) -> None:
        self.measured, self.task = measured, task
        self.bounds, self.beside_metric = bounds_of(task.primary), beside_of(task)
        is_common = set(COMMON) <= set(measured.severities)
        self.averaged = COMMON if is_common else tuple(measured.severities)
        self.baseline = {one.seed: one for one in measured.networks if one.label == BASELINE}
        self.by_label: dict[str, list[Network]] = {}
        for one in sorted(measured.networks, key=lambda one: one.label != BASELINE):
            self.by_label.setdefault(one.label, []).append(one)

    def mechanism(self, label: str) -> MechanismSummary:
        """Return one mechanism, described over its seeds."""
        networks = self.by_label[label]
        clean = [one.score(CLEAN_IMAGES, self.primary) for one in networks]
        corrupted = [self.corrupted(one) for one in networks]
        has_errors = self.task == CLASSIFICATION
        of_errors, of_others = (networks, []) if has_errors else ([], networks)
        further = bounds_of(self.beside_metric)
        return MechanismSummary(
            attention=label,
            runs=len(networks),
            clean=_describe(clean, self.bounds),
            corrupted=_describe(corrupted, self.bounds),
            lost=_describe(map(minus, clean, corrupted), self.bounds.of_differences),
            mce=_describe((self.mean_error(one, relative=False) for one in of_errors), AMOUNT),
            relative_mce=_describe((self.mean_error(one, relative=True) for one in of_errors), None),
            rpc=_describe((self.kept(one) for one in of_others), AMOUNT),
            clean_beside=_describe((one.score(CLEAN_IMAGES, self.beside) for one in networks), further),
            beside=_describe((self.averaged_score(one, self.beside) for one in networks), further),
        )

    def others(self) -> list[MetricSummary]:
        """Return the metrics beside the primary one, of each mechanism."""
        return [
            MetricSummary(
                attention=label,
                metric=metric.name,
                clean=_describe((one.score(CLEAN_IMAGES, score) for one in networks), bounds_of(metric)),
                corrupted=_describe((self.averaged_score(one, score) for one in networks), bounds_of(metric)),
            )
            for metric in self.task.metrics[1:]
            for score in [partial(_value, metric)]
            for label, networks in self.by_label.items()
        ]

    def primary(self, row: ConditionRow) -> float | None:
        """Return the primary metric of a row."""
        return row.value(self.task.primary)

    def beside(self, row: ConditionRow) -> float | None:
        """Return the metric beside it of a row."""
        return row.value(self.beside_metric)

    def corrupted(self, one: Network) -> float | None:
        """Return the mean of the primary metric over severities, then over the averaged corruptions."""
        return self.averaged_score(one, self.primary)

    def kept(self, one: Network) -> float | None:
        """Return rPC; None where there is nothing to keep."""
        clean, corrupted = one.score(CLEAN_IMAGES, self.primary), self.corrupted(one)
        return corrupted / clean if clean and corrupted is not None else None

    def averaged_score(self, one: Network, of: Score) -> float | None:
        """Return the mean of a score over severities, then over the averaged corruptions."""
        return mean_of_all([one.mean_score(self.measured.of(name), of) for name in self.averaged])

    def error_ratio(self, one: Network, corruption: str, *, relative: bool) -> float | None:
        """Return CE, or relative CE; None without the baseline of that seed, or where it loses nothing."""
        baseline = self.baseline.get(one.seed)
        if baseline is None:
            return None
        own, reference = (
            minus(
                network.score(CLEAN_IMAGES, self.primary) if relative else 1.0,
                network.mean_score(self.measured.of(corruption), self.primary),
            )
            for network in (one, baseline)
        )
        return None if own is None or reference is None or reference <= 0 else own / reference

    def mean_error(self, one: Network, *, relative: bool) -> float | None:
        """Return the mean of CE, or of relative CE, over the averaged corruptions."""
        return mean_of_all([self.error_ratio(one, name, relative=relative) for name in self.averaged])

    def pair(self, score: Callable[[Network], float | None]) -> list[_Pairs]:
        """Test each mechanism against the baseline, over the seeds of which both have a score."""
        pairs = []
        for label in self.by_label if self.baseline else ():
            if label == BASELINE:
                continue
            before, after, clean = [], [], []
            for one in self.by_label[label]:
                baseline = self.baseline.get(one.seed)
                if baseline is None:
                    continue
                a, b = score(baseline), score(one)
                if a is not None and b is not None:
                    before.append(a)
                    after.append(b)
                    scores = (network.score(CLEAN_IMAGES, self.primary) for network in (one, baseline))
                    clean.append(minus(*scores))
            pairs.append(_Pairs(label, paired_test(before, after, self.bounds), mean_of_all(clean)))
        return pairs

    def by_corruption(self) -> list[CorruptionSummary]:
        """Return each corruption and mechanism; all tests against the baseline are one family."""
        pairs = {
            (name, pair.label): pair
            for name in self.measured.severities
            for pair in self.pair(
                lambda one, name=name: one.mean_score(self.measured.of(name), self.primary)  # type: ignore[misc]
            )
        }
        tests = dict(zip(pairs, _adjust([*pairs.values()]), strict=True))
        return [
            CorruptionSummary(
                attention=label,
                corruption=name,
                score=_describe(
                    (one.mean_score(self.measured.of(name), self.primary) for one in networks), self.bounds
                ),
                error_ratio=_describe(
                    (
                        self.error_ratio(one, name, relative=False)
                        for one in (networks if self.task == CLASSIFICATION else [])
                    ),
                    AMOUNT,
                ),
                test=tests.get((name, label)),
            )
            for name in self.measured.severities
            for label, networks in self.by_label.items()
        ]

    def by_severity(self, label: str) -> list[SeveritySummary]:
        """Return each severity, over the averaged corruptions that have severities; 0 is clean."""
        severities = self.measured.severities
        graded = [name for name in self.averaged if None not in severities[name]]
        levels = sorted({level for name in graded for level in severities[name] if level is not None})
        conditions: dict[int, list[Condition]] = {0: [CLEAN_IMAGES]}
        conditions |= {level: [(name, level) for name in graded] for level in levels}
        return [
            SeveritySummary(
                attention=label,
                severity=level,
                score=_describe(
                    (one.mean_score(places, self.primary) for one in self.by_label[label]), self.bounds
                ),
                beside=_describe(
                    (one.mean_score(places, self.beside) for one in self.by_label[label]),
                    bounds_of(self.beside_metric),
                ),
            )
            for level, places in conditions.items()
        ]


def _value(metric: Metric, row: ConditionRow) -> float | None:
    return row.value(metric)


def _adjust(pairs: Sequence[_Pairs]) -> list[BaselineTest]:
    """Adjust the tests of one family for their number."""
    return [
        BaselineTest(pair.test, p, outcome(pair.test.difference, p), pair.label, pair.clean_difference)
        for pair, p in zip(pairs, adjust_family([pair.test for pair in pairs], ADJUST), strict=True)
    ]


def _images(networks: Sequence[Network], conditions: Iterable[Condition]) -> set[int]:
    found = (one.conditions.get(condition) for condition in conditions for one in networks)
    return {row.images for row in found if row is not None}


def _attacks(by_label: dict[str, list[Network]]) -> list[AttackSummary]:
    places = dict.fromkeys(
        place for networks in by_label.values() for one in networks for place in one.attacks
    )
    attacks = []
    for place in places:
        for label, networks in by_label.items():
            rows = [one.attacks[place] for one in networks if place in one.attacks]
            if rows:
                accuracy = _describe((row.accuracy for row in rows), SHARE)
                attacks.append(AttackSummary(label, *place, accuracy, max(row.images for row in rows)))
    return attacks


def _describe(values: Iterable[float | None], bounds: Bounds | None) -> Description:
    return describe([value for value in values if value is not None], bounds)
