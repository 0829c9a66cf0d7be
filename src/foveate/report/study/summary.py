"""The summary of a study as one dict of plain numbers: what `--json` gives and every table is made from."""

from itertools import combinations
from typing import Any

from foveate.evaluation.intervals import AMOUNT, SHARE
from foveate.evaluation.statistics import (
    adjust_tests,
    describe,
    detectable_difference,
    paired_test,
    pooled_std,
    repeated_measures_anova,
    seeds_needed,
)
from foveate.records.study import PLAIN, Records
from foveate.report.study.class_changes import PerClass, class_changes, untested_classes
from foveate.report.study.dynamics import DYNAMICS
from foveate.report.study.latency import noise_in_words, noise_of_cost, ratio_to_plain
from foveate.report.study.verdict import verdict

__all__ = ["METRICS", "planned_pairs", "summarise"]

METRICS = {
    "accuracy": SHARE,
    "loss": AMOUNT,
    "precision": SHARE,
    "recall": SHARE,
    "f1": SHARE,
    "ece": SHARE,
}
"""What is measured on the test part, and the bounds of its values."""


def summarise(records: Records) -> dict[str, Any]:
    """Summarise the finished runs of a study.

    Returns {"study", "rows", "tests", "anova", "detectable_difference", "verdict", "class_changes" (see
    class_changes.py; none where comparisons were planned), "untested_classes", "missing", "report"}; every
    number that cannot be given is None. Accuracies are fractions, `difference` is b - a, and what could have
    been detected is reckoned at the level that the smallest p value of the family must pass (alpha over the
    number of comparisons, `study.statistics.alpha_per_test`), for on adjusted p values the verdict rests.
    """
    settings = records.study["statistics"]
    contrasts = planned_pairs(records.finished, records.design)
    pairs = list(dict.fromkeys((contrast["a"], contrast["b"]) for contrast in contrasts))
    comparisons = len(pairs)
    alpha = settings["alpha"] / max(comparisons, 1)
    tested = dict(
        zip(pairs, _test_pairs(records, pairs, settings["adjust"], alpha, settings["power"]), strict=True)
    )
    tests = [contrast | tested[contrast["a"], contrast["b"]] for contrast in contrasts]
    against_plain = {test["b"]: test for test in tests if test["a"] == PLAIN}
    summary: dict[str, Any] = {
        "study": {
            **{
                key: records.study[key]
                for key in (
                    "name",
                    "data",
                    "backbone",
                    "attention",
                    "seeds",
                    "recipe",
                    "command",
                    "environment",
                )
            },
            "pretrained": records.study.get("pretrained", False),
            "design": records.design,
            "cost": records.cost_setting | {"noise": _noise(records)},
            "foveate": records.study["foveate"],
            "statistics": {**settings, "comparisons": comparisons, "alpha_per_test": alpha},
        },
        "rows": [_row(records, label, against_plain.get(label)) for label in records.finished],
        "tests": tests,
        "anova": _anova(records),
        "detectable_difference": _detectable_against_plain(tests, alpha, settings["power"]),
        "class_changes": _class_changes(records) if not records.design["contrasts"] else [],
        "untested_classes": untested_classes(_per_class(records), records.study["data"]["classes"]),
        "missing": records.missing,
        "report": str(records.folder / "report" / "index.html"),
    }
    return {**summary, "verdict": verdict(summary)}


def _row(records: Records, label: str, test: dict[str, Any] | None) -> dict[str, Any]:
    runs = [records.results[label][seed] for seed in sorted(records.results[label])]
    row: dict[str, Any] = {"attention": label, "runs": len(runs)}
    row |= {
        metric: describe([run["test"][metric] for run in runs], bounds) for metric, bounds in METRICS.items()
    }
    cost, plain = records.cost.get(label, {}), records.cost.get(PLAIN, {})
    for measure in ("parameters", "macs"):
        row[measure] = cost.get(measure)
        row[f"{measure}_increase_percent"] = _increase(cost.get(measure), plain.get(measure))
    row["latency_ms_p50"], row["latency_ms_p95"] = cost.get("latency_ms_p50"), cost.get("latency_ms_p95")
    # The ratio was measured side by side with plain: that of the medians would add the drift between them.
    row["latency_ratio"], row["latency_ratio_ci95"] = ratio_to_plain(records.cost, label)
    row["latency_increase_percent"] = _increase(row["latency_ratio"], 1.0)
    growth = row["parameters_increase_percent"]
    gain = test["difference"] if test else None
    row["efficiency_score"] = 100 * gain / growth if gain is not None and growth and growth > 0 else None
    for name, (measure_of, bounds) in DYNAMICS.items():
        of_runs = [measure_of(run["epochs"]) for run in runs]
        row[name] = describe([value for value in of_runs if value is not None], bounds)
    row["train_seconds"] = describe([run["seconds"] for run in runs], AMOUNT)
    return row


def _noise(records: Records) -> list[str]:
    found = noise_of_cost(records.cost, records.cost_setting.get("timing", {}))
    return [noise_in_words(noise) for noise in found]


def _class_changes(records: Records) -> list[dict[str, Any]]:
    return class_changes(_per_class(records), records.study["data"]["classes"])


def _per_class(records: Records) -> PerClass:
    return {
        label: {seed: run["test"]["per_class"] for seed, run in records.results[label].items()}
        for label in records.finished
    }


def _increase(value: float | None, base: float | None) -> float | None:
    return 100 * (value / base - 1) if value is not None and base else None


def planned_pairs(labels: list[str], design: dict[str, Any]) -> list[dict[str, str]]:
    """The comparisons that a study was made for, as {"a", "b"} and what else its design says of them.

    Where it says nothing: all pairs of candidates, but of a control only that with what it is the control of.
    """
    planned = [contrast for contrast in design["contrasts"] if {contrast["a"], contrast["b"]} <= set(labels)]
    if design["contrasts"]:
        return planned
    own = [(control["label"], control["of"]) for control in design["controls"]]
    controls = {label for label, _ in own}
    pairs = combinations([label for label in labels if label not in controls], 2)
    kept = [pair for pair in own if set(pair) <= set(labels)]
    return [{"a": a, "b": b} for a, b in [*pairs, *kept]]


def _test_pairs(
    records: Records, pairs: list[tuple[str, str]], adjust: str, alpha: float, power: float
) -> list[dict[str, Any]]:
    tests = []
    for a, b in pairs:
        seeds = sorted(records.results[a].keys() & records.results[b].keys())
        before, after = ([records.results[x][seed]["test"]["accuracy"] for seed in seeds] for x in (a, b))
        tests.append({"a": a, "b": b} | paired_test(before, after, SHARE))
    adjust_tests(tests, adjust)
    for test in tests:
        test["detectable_difference"] = detectable_difference(test["std"], test["n"], alpha, power)
        test["seeds_needed"] = seeds_needed(test["difference"], test["std"], alpha, power)
    return tests


def _anova(records: Records) -> dict[str, Any] | None:
    """Over the seeds that every mechanism has finished."""
    runs = [records.results[label] for label in records.finished]
    seeds = sorted(set.intersection(*(set(of_label) for of_label in runs)))
    if not seeds:
        return None
    return repeated_measures_anova(
        [[of_label[seed]["test"]["accuracy"] for of_label in runs] for seed in seeds]
    )


def _detectable_against_plain(tests: list[dict[str, Any]], alpha: float, power: float) -> float | None:
    """From the pooled spread of all differences to plain, at the fewest seeds that any of them has."""
    spreads = [(test["std"], test["n"]) for test in tests if test["a"] == PLAIN and test["n"] > 1]
    if not spreads:
        return None
    return detectable_difference(pooled_std(spreads), min(n for _, n in spreads), alpha, power)
