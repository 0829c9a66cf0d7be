"""The findings of `foveate transfer` in sentences."""

from collections.abc import Sequence

from foveate.evaluation.comparisons import AdjustedTest
from foveate.evaluation.significance import Outcome
from foveate.notation import count, listing
from foveate.records.labels import display_name, name_in_sentence
from foveate.records.transfer import Way
from foveate.report.core.notation import NO_SPREAD, p_equation, points, spread
from foveate.report.transfer.summary import WaySummary

__all__ = ["way_sentences", "way_title"]

WAY_TITLES: dict[Way, str] = {
    "direct": "directly",
    "probe": "linear probe",
    "finetune": "fine-tuned",
    "attached": "attached, then fine-tuned",
}

Tested = Sequence[tuple[str, AdjustedTest]]


def way_title(way: WaySummary, has_backbones: bool) -> str:
    """Name a way, and its backbone where there are several."""
    return WAY_TITLES[way.way] + (f" ({way.backbone})" if has_backbones else "")


def way_sentences(way: WaySummary, title: str) -> list[str]:
    """Say which mechanism has the highest mean, and which differ from the baseline."""
    best = max(way.rows, key=lambda row: row.accuracy.mean or 0.0)
    answers = count(len(way.choices), "answer")
    opening = (
        f"{title.capitalize()}, {answers} to choose from and {way.images:,} images: the highest mean is that "
        f"of {name_in_sentence(best.attention)}, {spread(best.accuracy, 1, scale=100)} % "
        f"(guessing: {100 * way.chance:.1f} %)."
    )
    tested = [(display_name(row.attention), row.against_baseline) for row in way.rows if row.against_baseline]
    if tested and all(one.test.n < 2 for _, one in tested):
        return [opening, "With one seed no test is possible."]
    return [opening, *_findings(tested)]


def _findings(tested: Tested) -> list[str]:
    sentences = [
        f"{name} is {one.outcome.value} than the baseline by {abs(100 * one.test.difference):.2f} points "
        f"(adjusted {p_equation(one.p_adjusted)})."
        for name, one in tested
        if one.is_significant and one.test.difference is not None and one.p_adjusted is not None
    ]
    sentences += [
        f"{name}: {points(one.test.difference)} points, {NO_SPREAD}."
        for name, one in tested
        if one.outcome is Outcome.UNTESTED and one.test.n > 1
    ]
    rest = [
        name
        for name, one in tested
        if not one.is_significant and not (one.outcome is Outcome.UNTESTED and one.test.n > 1)
    ]
    if rest:
        sentences.append(
            f"For {listing(rest)} the difference from the baseline is not significant, which does not mean "
            "that there is none."
        )
    return sentences
