"""The record of `foveate robustness` in plain numbers: relative errors, by corruption, by severity."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

from foveate.evaluation.intervals import AMOUNT, DIFFERENCE, SHARE, Bounds
from foveate.evaluation.statistics import adjust_tests, describe, paired_test
from foveate.records.labels import BASELINE
from foveate.report.robustness.measured import (
    CLEAN,
    COMMON,
    Measured,
    complete_corruptions,
    read_measured,
)

__all__ = ["ALPHA", "summarise_robustness"]

ALPHA = 0.05
FIVE = {1, 2, 3, 4, 5}
"""The severities that the mean corruption error is over."""

Row = dict[str, Any]


def summarise_robustness(record: dict[str, Any]) -> dict[str, Any]:
    """Summarise a record, over seeds and by mechanism; what cannot be said is None, nothing is NaN.

    With E the error rate and the sums over severities, of each corruption c and of runs of the same seed,
        CE_c = Σ E_c / Σ E_c of plain,   relative CE_c = Σ (E_c - E_clean) / Σ (E_c - E_clean of plain);
    mCE and relative mCE are their means over the 15 common corruptions where all of them were measured, and
    over all that were measured otherwise ("averaged"); a corruption of which severities that were asked for
    are not there yet is left out of everything. "standard" are all 15 in all five severities. Tests against
    plain are paired by seed, and adjusted for their number (Holm), those of single corruptions as a family of
    their own; "clean_difference" is that on clean images, of the same seeds.
    """
    measured = read_measured(record)
    severities, done = complete_corruptions(record, measured)
    averaged = list(COMMON) if set(COMMON) <= set(severities) else list(severities)
    plain = {one.seed: one for one in measured if one.label == BASELINE}
    by_label: dict[str, list[Measured]] = {}
    for one in sorted(measured, key=lambda one: one.label != BASELINE):
        by_label.setdefault(one.label, []).append(one)
    study = _Study(by_label, plain, severities, averaged)
    tests = study.tests(lambda one: study.corrupted(one))
    adjust_tests(tests)
    places = [(name, level) for name in averaged for level in severities[name]]
    images = _images(measured, places)
    return {
        "data": record["data"]["name"],
        "prepared": record["data"].get("prepared"),
        "images": max(images, default=0),
        "fewest_images": min(images, default=0),
        "clean_images": max(_images(measured, [(CLEAN, None)]), default=0),
        "done": {what: {"there": there, "asked": asked} for what, (there, asked) in done.items()},
        "corruptions": list(severities),
        "averaged": averaged,
        "severities": sorted({level for _, level in places if level is not None}),
        "standard": averaged == list(COMMON) and all(set(severities[name]) == FIVE for name in COMMON),
        "statistics": {"adjust": "holm", "alpha": ALPHA},
        "rows": [study.row(label) for label in by_label],
        "tests": tests,
        "by_corruption": study.by_corruption(),
        "by_severity": [row for label in by_label for row in study.by_severity(label)],
        "attacks": _attacks(by_label),
        "left_out": list(record["left_out"]),
        "warnings": list(record["warnings"]),
    }


class _Study:
    """The networks by mechanism, beside plain of the same seed."""

    def __init__(
        self,
        by_label: dict[str, list[Measured]],
        plain: dict[int | None, Measured],
        severities: dict[str, list[int | None]],
        averaged: list[str],
    ) -> None:
        self.by_label, self.plain, self.severities, self.averaged = by_label, plain, severities, averaged

    def row(self, label: str) -> Row:
        """One mechanism, described over its seeds."""
        runs = self.by_label[label]
        return {
            "attention": label,
            "runs": len(runs),
            "clean": _described((one.accuracy(CLEAN) for one in runs), SHARE),
            "corrupted": _described((self.corrupted(one) for one in runs), SHARE),
            "lost": _described(
                (_minus(one.accuracy(CLEAN), self.corrupted(one)) for one in runs), DIFFERENCE
            ),
            "mce": _described((self.mean_error(one, relative=False) for one in runs), AMOUNT),
            "relative_mce": _described((self.mean_error(one, relative=True) for one in runs), None),
            "clean_ece": _described(
                (one.conditions.get((CLEAN, None), {}).get("ece") for one in runs), SHARE
            ),
            "ece": _described(
                (_mean([self.mean_over(one, name, "ece") for name in self.averaged]) for one in runs), SHARE
            ),
        }

    def corrupted(self, one: Measured) -> float | None:
        """Mean accuracy over severities, then over the averaged corruptions."""
        return _mean([self.mean_over(one, name, "accuracy") for name in self.averaged])

    def mean_over(self, one: Measured, corruption: str, score: str) -> float | None:
        """Mean of a score over the severities of a corruption."""
        return _mean(
            [one.conditions.get((corruption, s), {}).get(score) for s in self.severities[corruption]]
        )

    def error_ratio(self, one: Measured, corruption: str, *, relative: bool) -> float | None:
        """CE, or relative CE; None without plain of that seed, or where plain loses nothing."""
        sums = []
        for network in (one, self.plain.get(one.seed)):
            kept = network and self.mean_over(network, corruption, "accuracy")
            whole = (network and network.accuracy(CLEAN)) if relative else 1.0
            sums.append(_minus(whole, kept))
        mine, of_plain = sums
        return None if mine is None or of_plain is None or of_plain <= 0 else mine / of_plain

    def mean_error(self, one: Measured, *, relative: bool) -> float | None:
        """The mean of CE or relative CE over the averaged corruptions."""
        return _mean([self.error_ratio(one, name, relative=relative) for name in self.averaged])

    def tests(self, value: Callable[[Measured], float | None]) -> list[Row]:
        """Paired tests of every mechanism against plain, by the seeds of which both have a value."""
        tests = []
        for label in self.by_label if self.plain else ():
            if label == BASELINE:
                continue
            before, after, clean = [], [], []
            for one in self.by_label[label]:
                of_plain = self.plain.get(one.seed)
                a, b = of_plain and value(of_plain), value(one)
                if of_plain and a is not None and b is not None:
                    before.append(a)
                    after.append(b)
                    clean.append(_minus(one.accuracy(CLEAN), of_plain.accuracy(CLEAN)))
            test = paired_test(before, after, SHARE) | {"clean_difference": _mean(clean)}
            tests.append({"a": BASELINE, "b": label} | test)
        return tests

    def by_corruption(self) -> list[Row]:
        """Of each corruption and mechanism: accuracy, error relative to plain, and the test against plain."""
        rows: list[Row] = []
        tests: list[Row] = []
        for name in self.severities:
            found = self.tests(lambda one, name=name: self.mean_over(one, name, "accuracy"))  # type: ignore[misc]
            tests += found
            of_label = {test["b"]: test for test in found}
            for label, runs in self.by_label.items():
                rows.append(
                    {
                        "attention": label,
                        "corruption": name,
                        "accuracy": _described(
                            (self.mean_over(one, name, "accuracy") for one in runs), SHARE
                        ),
                        "error_ratio": _described(
                            (self.error_ratio(one, name, relative=False) for one in runs), AMOUNT
                        ),
                        "test": of_label.get(label),
                    }
                )
        adjust_tests(tests)
        return rows

    def by_severity(self, label: str) -> list[Row]:
        """Accuracy and calibration error by severity, over corruptions that have severities; 0 is clean."""
        runs = self.by_label[label]
        graded = [name for name in self.averaged if None not in self.severities[name]]
        levels = sorted({s for name in graded for s in self.severities[name] if s is not None})
        rows = []
        for level in [0, *levels]:
            places = [(name, level) for name in graded] if level else [(CLEAN, None)]
            rows.append(
                {"attention": label, "severity": level}
                | {
                    score: _described(
                        (
                            _mean([one.conditions.get(place, {}).get(score) for place in places])
                            for one in runs
                        ),
                        SHARE,
                    )
                    for score in ("accuracy", "ece")
                }
            )
        return rows


def _images(measured: list[Measured], places: Iterable[tuple[str, int | None]]) -> set[int]:
    return {
        one.conditions[place]["images"] for place in places for one in measured if place in one.conditions
    }


def _attacks(by_label: dict[str, list[Measured]]) -> list[Row]:
    places = dict.fromkeys(place for runs in by_label.values() for one in runs for place in one.attacks)
    rows = []
    for name, eps in places:
        for label, runs in by_label.items():
            found = [one.attacks[name, eps] for one in runs if (name, eps) in one.attacks]
            if found:
                accuracy = _described((row["accuracy"] for row in found), SHARE)
                images = max(row["images"] for row in found)
                rows.append(
                    {"attention": label, "attack": name, "eps": eps, "accuracy": accuracy, "images": images}
                )
    return rows


def _described(values: Iterable[float | None], bounds: Bounds | None) -> dict[str, Any]:
    return describe([value for value in values if value is not None], bounds)


def _mean(values: Sequence[float | None]) -> float | None:
    """None if one is missing: a mean over other corruptions would be another number."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
