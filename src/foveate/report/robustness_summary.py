"""The record of `foveate robustness` in plain numbers: relative errors, by corruption, by severity."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from foveate.evaluation.statistics import adjust_p_values, describe, paired_test
from foveate.report.records import PLAIN

__all__ = ["ALPHA", "COMMON", "summarise_robustness"]

ALPHA = 0.05
CLEAN = "clean"
# fmt: off
COMMON = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)
# fmt: on
"""The 15 corruptions that the mean corruption error is of (Hendrycks and Dietterich 2019)."""

Row = dict[str, Any]


class Measured(NamedTuple):
    """What was measured of one network: rows by (corruption, severity), and by (attack, ε)."""

    label: str
    seed: int | None
    conditions: dict[tuple[str, int | None], Row]
    attacks: dict[tuple[str, float | None], Row]

    def accuracy(self, corruption: str, severity: int | None = None) -> float | None:
        """None where it was not measured."""
        return self.conditions.get((corruption, severity), {}).get("accuracy")


def summarise_robustness(record: dict[str, Any]) -> dict[str, Any]:
    """Summarise a record, over seeds and by mechanism; what cannot be said is None, nothing is NaN.

    With E the error rate and the sums over severities, of each corruption c and of runs of the same seed,
        CE_c = Σ E_c / Σ E_c of plain,   relative CE_c = Σ (E_c - E_clean) / Σ (E_c - E_clean of plain);
    mCE and relative mCE are their means over the 15 common corruptions where all of them were measured, and
    over all that were measured otherwise ("averaged"). Tests against plain are paired by seed, and adjusted
    for their number (Holm), those of single corruptions as a family of their own.
    """
    measured = _measured(record)
    conditions = list(
        dict.fromkeys(place for one in measured for place in one.conditions if place[0] != CLEAN)
    )
    corruptions = list(dict.fromkeys(name for name, _ in conditions))
    averaged = list(COMMON) if set(COMMON) <= set(corruptions) else corruptions
    plain = {one.seed: one for one in measured if one.label == PLAIN}
    by_label: dict[str, list[Measured]] = {}
    for one in sorted(measured, key=lambda one: one.label != PLAIN):
        by_label.setdefault(one.label, []).append(one)
    severities = {name: [s for c, s in conditions if c == name] for name in corruptions}
    study = _Study(by_label, plain, severities, averaged)
    images = [one.conditions[CLEAN, None]["images"] for one in measured if (CLEAN, None) in one.conditions]
    return {
        "data": record["data"]["name"],
        "images": max(images, default=0),
        "corruptions": corruptions,
        "averaged": averaged,
        "severities": sorted({severity for _, severity in conditions if severity is not None}),
        "standard": averaged == list(COMMON),
        "statistics": {"adjust": "holm", "alpha": ALPHA},
        "rows": [study.row(label) for label in by_label],
        "tests": _adjusted(study.tests(lambda one: study.corrupted(one))),
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
            "clean": _described(one.accuracy(CLEAN) for one in runs),
            "corrupted": _described(self.corrupted(one) for one in runs),
            "lost": _described(_minus(one.accuracy(CLEAN), self.corrupted(one)) for one in runs),
            "mce": _described(self.mean_error(one, relative=False) for one in runs),
            "relative_mce": _described(self.mean_error(one, relative=True) for one in runs),
            "clean_ece": _described(one.conditions.get((CLEAN, None), {}).get("ece") for one in runs),
            "ece": _described(
                _mean([self.mean_over(one, name, "ece") for name in self.averaged]) for one in runs
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
        """Paired tests of every mechanism against plain, by the seeds that both have."""
        tests = []
        for label in self.by_label if self.plain else ():
            if label == PLAIN:
                continue
            pairs = [
                (value(self.plain[one.seed]), value(one))
                for one in self.by_label[label]
                if one.seed in self.plain
            ]
            whole = [(a, b) for a, b in pairs if a is not None and b is not None]
            test = paired_test([a for a, _ in whole], [b for _, b in whole])
            tests.append({"a": PLAIN, "b": label} | test)
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
                        "accuracy": _described(self.mean_over(one, name, "accuracy") for one in runs),
                        "error_ratio": _described(
                            self.error_ratio(one, name, relative=False) for one in runs
                        ),
                        "test": of_label.get(label),
                    }
                )
        _adjusted(tests)
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
                        _mean([one.conditions.get(place, {}).get(score) for place in places]) for one in runs
                    )
                    for score in ("accuracy", "ece")
                }
            )
        return rows


def _measured(record: dict[str, Any]) -> list[Measured]:
    networks = {one["name"]: Measured(one["label"], one["seed"], {}, {}) for one in record["networks"]}
    for row in record["rows"]:
        key = row["key"]
        one = networks.get(key["network"])
        if one is None:
            continue
        if "attack" in key:
            one.attacks[key["attack"], key["eps"]] = row
        else:
            one.conditions[key["corruption"], key["severity"]] = row
    return [one for one in networks.values() if one.conditions or one.attacks]


def _attacks(by_label: dict[str, list[Measured]]) -> list[Row]:
    places = dict.fromkeys(place for runs in by_label.values() for one in runs for place in one.attacks)
    rows = []
    for name, eps in places:
        for label, runs in by_label.items():
            found = [one.attacks[name, eps] for one in runs if (name, eps) in one.attacks]
            if found:
                accuracy = _described(row["accuracy"] for row in found)
                images = max(row["images"] for row in found)
                rows.append(
                    {"attention": label, "attack": name, "eps": eps, "accuracy": accuracy, "images": images}
                )
    return rows


def _adjusted(tests: list[Row]) -> list[Row]:
    adjusted = adjust_p_values([test["p"] for test in tests])
    for test, p in zip(tests, adjusted, strict=True):
        test["p_adjusted"] = p
    return tests


def _described(values: Iterable[float | None]) -> dict[str, Any]:
    return describe([value for value in values if value is not None])


def _mean(values: Sequence[float | None]) -> float | None:
    """None if one is missing: a mean over other corruptions would be another number."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
