"""The findings on robustness in sentences."""

from pathlib import Path

from foveate.evaluation.significance import Outcome
from foveate.evaluation.statistics import Description
from foveate.notation import count, decimals, listing, p_value
from foveate.records.labels import BASELINE, display_name, name_in_sentence
from foveate.records.robustness import stated_sigma
from foveate.report.core.notation import NO_SPREAD, points
from foveate.report.robustness.names import attack_name, corruption_name
from foveate.report.robustness.summary import BaselineTest, MechanismSummary, Progress, RobustnessSummary

__all__ = ["robustness_sentences"]

UNTESTED = f"fewer than two seeds in common, or {NO_SPREAD}"


def robustness_sentences(summary: RobustnessSummary) -> list[str]:
    """Return the findings, the main one first; what is missing is named."""
    found: list[str] = []
    if summary.corruptions:
        found += [_finding(summary), *_untested(summary), *_images(summary), *_errors(summary)]
        found += [*_hardest(summary), *_single(summary), *_by_severity(summary)]
    found += _attacked(summary)
    return [*_unfinished(summary), *(found or ["Nothing could be measured."])]


def _unfinished(summary: RobustnessSummary) -> list[str]:
    parts = [
        *_part(summary.done.conditions, "conditions were measured"),
        *_part(summary.done.attacks, "attacks were made"),
    ]
    if not parts:
        return []
    whole = ""
    if not summary.done.conditions.is_complete:
        whole = " Corruptions are shown once all their severities are there."
    return [f"This is unfinished: {listing(parts)}; the same command resumes it.{whole}"]


def _part(progress: Progress, what: str) -> list[str]:
    return [] if progress.is_complete else [f"{progress.there} of {progress.asked} {what}"]


def _finding(summary: RobustnessSummary) -> str:
    rows = {row.attention: row for row in summary.rows if row.corrupted.mean is not None}
    where = _where(summary)
    if not rows:
        return f"On {where}, no network has been measured to the end."
    tests = [test for test in summary.tests if test.test.difference is not None]
    if not tests:
        listed = listing(
            [f"{_percent(row.corrupted)} for {name_in_sentence(label)}" for label, row in rows.items()]
        )
        is_baseline_alone = [*rows] == [BASELINE]
        missing = "" if is_baseline_alone else " Without the baseline of the same seed, nothing is compared."
        return f"On {where}, {summary.metric.noun} is {listed}.{missing}"
    baseline = _percent(rows[BASELINE].corrupted)
    tested = [test for test in tests if test.outcome is not Outcome.UNTESTED]
    if not tested:
        listed = listing([_difference(test, rows) for test in tests])
        why = "With fewer than two seeds of each nothing can be tested: this may be chance."
        if max(test.test.n for test in tests) > 1:
            why = f"Nothing could be tested: {UNTESTED}."
        return f"On {where}, with the baseline at {baseline}: {listed}. {why}"
    if not any(test.is_significant for test in tested):
        largest = max(tested, key=lambda test: abs(test.test.difference or 0))
        return (
            f"On {where}, no mechanism is shown to keep more {summary.metric.noun} than the baseline "
            f"({baseline}), or less: the largest difference is {_difference(largest, rows)} (adjusted p "
            f"{p_value(largest.p_adjusted)})."
        )
    parts = [
        f"{listing([_difference(test, rows) for test in group])} "
        f"{'is' if len(group) == 1 else 'are'} shown to be {outcome.value} than the baseline"
        for outcome in (Outcome.BETTER, Outcome.WORSE)
        if (group := [test for test in tested if test.outcome is outcome])
    ]
    return f"On {where}, with the baseline at {baseline}: {'; '.join(parts)}."


def _where(summary: RobustnessSummary) -> str:
    """Write which images, how many, and what was done to them: "5 images of shapes under 2 corruptions …"."""
    images = f"{summary.images:,} image{'' if summary.images == 1 else 's'}"
    if summary.fewest_images < summary.images:
        images = f"{summary.fewest_images:,} to {images}"
    kinds = []
    if graded := len(summary.averaged) - len(summary.sigmas):
        levels = len(summary.severities)
        severities = f"{levels} {'severity' if levels == 1 else 'severities'}"
        kinds.append(f"{count(graded, 'corruption')} in {severities}")
    if summary.sigmas:
        kinds.append(f"noise of σ = {listing(summary.sigmas)}")
    prepared = _prepared(summary)
    source = summary.data if prepared is None else f"the prepared set {prepared}"
    return f"{images} of {source} under {listing(kinds)}"


def _prepared(summary: RobustnessSummary) -> str | None:
    """Return the name of the prepared set that corrupted images are from; None where they are made here."""
    is_noise_alone = len(summary.sigmas) == len(summary.averaged)
    return Path(summary.prepared).name if summary.prepared and not is_noise_alone else None


def _difference(test: BaselineTest, rows: dict[str, MechanismSummary]) -> str:
    """Write a mechanism with its gain under corruption and on clean images, both of the seeds in common."""
    beside = "" if test.clean_difference is None else f", {points(test.clean_difference)} on clean images"
    if test.test.n < max(rows[label].runs for label in (test.label, BASELINE) if label in rows):
        beside += f", by {count(test.test.n, 'seed')} in common"
    return f"{display_name(test.label)} ({points(test.test.difference)} points{beside})"


def _untested(summary: RobustnessSummary) -> list[str]:
    """Name the mechanisms without a test, where others have one."""
    names = [display_name(test.label) for test in summary.tests if test.outcome is Outcome.UNTESTED]
    if not names or len(names) == len(summary.tests):
        return []
    return [f"{listing(names)} could not be tested against the baseline: {UNTESTED}."]


def _images(summary: RobustnessSummary) -> list[str]:
    """Say where clean images or noise differ from the rest, or where the number of clean images does."""
    clean, said = summary.clean_images, []
    if clean and {clean} != {summary.fewest_images, summary.images}:
        said.append(f"{summary.metric.title} on clean images is of {clean:,} images of {summary.data}.")
    has_noise = any(stated_sigma(name) is not None for name in summary.corruptions)
    if has_noise and _prepared(summary) is not None:
        said.append(f"Noise of a stated σ is made here, on images of {summary.data}.")
    return said


def _errors(summary: RobustnessSummary) -> list[str]:
    if not summary.has_errors:
        return _kept(summary)
    others = [row for row in summary.rows if row.attention != BASELINE]
    known = [
        f"{display_name(row.attention)} {_percent(row.mce)}" for row in others if row.mce.mean is not None
    ]
    if not known:
        return []
    kind = "Mean corruption error" if summary.standard else "Error"
    said = [f"{kind} relative to the baseline, where under 100 % is better: {listing(known)}."]
    loss = "relative mean corruption error" if summary.standard else "loss relative to the baseline"
    fewer = [
        f"{len(row.relative_mce.values)} of {count(row.runs, 'network')} of {display_name(row.attention)}"
        for row in others
        if len(row.relative_mce.values) < row.runs
    ]
    if fewer:
        said.append(
            f"The {loss} is known of {listing(fewer)}: the baseline of the same seed is missing, or loses "
            "nothing on one of the corruptions."
        )
    return said


def _kept(summary: RobustnessSummary) -> list[str]:
    """Say which share of its clean performance each mechanism keeps."""
    noun = summary.metric.noun
    known = [
        f"{name_in_sentence(row.attention)} {_percent(row.rpc)}"
        for row in summary.rows
        if not row.rpc.is_empty
    ]
    named = "Relative performance under corruption (rPC)" if summary.standard else "Kept under corruption"
    said = [f"{named}, as a share of the clean {noun}: {listing(known)}."] if known else []
    nothing = [name_in_sentence(row.attention) for row in summary.rows if 0 in row.clean.values]
    if nothing:
        said.append(f"Of {listing(nothing)}, networks that score 0 on clean images have nothing to keep.")
    return said


def _hardest(summary: RobustnessSummary) -> list[str]:
    label = summary.labels[0]
    of_first = [
        (row.score.mean, row.corruption)
        for row in summary.by_corruption
        if row.attention == label and row.score.mean is not None
    ]
    if len(of_first) < 2:
        return []
    (low, hardest), (high, mildest) = min(of_first), max(of_first)
    if low == high:
        return []
    return [
        f"Hardest for {name_in_sentence(label)} is {corruption_name(hardest)} "
        f"({decimals(low, 1, scale=100)} %), mildest {corruption_name(mildest)} "
        f"({decimals(high, 1, scale=100)} %)."
    ]


def _single(summary: RobustnessSummary) -> list[str]:
    tests = [(row.corruption, row.test) for row in summary.by_corruption if row.test is not None]
    tested = sum(test.outcome is not Outcome.UNTESTED for _, test in tests)
    # Of single seeds nothing is tested at all, and the finding says so.
    untested = sum(test.test.n > 1 and test.outcome is Outcome.UNTESTED for _, test in tests)
    said = []
    if tested:
        compared = f"{count(tested, 'comparison')} with the baseline by single corruptions"
        significant = [(name, test) for name, test in tests if test.is_significant]
        if significant:
            listed = listing(
                [
                    f"{display_name(test.label)} on {corruption_name(name)} "
                    f"({points(test.test.difference)} points)"
                    for name, test in significant
                ]
            )
            verb = "is" if len(significant) == 1 else "are"
            said.append(f"Of {compared}, {len(significant)} {verb} significant: {listed}.")
        else:
            said.append(f"Of {compared}, none is significant once they are adjusted for their number.")
    if untested:
        said.append(f"{count(untested, 'comparison')} by single corruptions could not be tested: {UNTESTED}.")
    return said


def _by_severity(summary: RobustnessSummary) -> list[str]:
    label = summary.labels[0]
    by_level = {row.severity: row.beside.mean for row in summary.by_severity if row.attention == label}
    last = max(by_level, default=0)
    clean, worst = by_level.get(0), by_level.get(last)
    if not last or clean is None or worst is None:
        return []
    without = ", without noise of a stated σ" if summary.sigmas else ""
    return [
        f"The {summary.beside.noun} of {name_in_sentence(label)} goes from "
        f"{decimals(clean, 1, scale=100)} % on clean images to {decimals(worst, 1, scale=100)} % "
        f"at severity {last}{without}."
    ]


def _attacked(summary: RobustnessSummary) -> list[str]:
    said = []
    places = dict.fromkeys((row.attack, row.eps) for row in summary.attacks)
    for attack, eps in places:
        if eps is None:
            continue
        listed = listing(
            [
                f"{name_in_sentence(row.attention)} {_percent(row.accuracy)}"
                for row in summary.attacks
                if (row.attack, row.eps) == (attack, eps)
            ]
        )
        said.append(f"The attack {attack_name(attack)} at ε = {eps:g}/255 leaves {listed}.")
    return said


def _percent(described: Description) -> str:
    return f"{decimals(described.mean, 1, scale=100)} %"
