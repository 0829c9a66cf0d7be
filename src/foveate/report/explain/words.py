"""The findings of `foveate explain` in sentences."""

from foveate.evaluation.significance import Outcome
from foveate.notation import count, decimals, listing
from foveate.records.explain import SCORES, UNDIRECTED
from foveate.records.labels import BASELINE, display_name
from foveate.records.metric import CLASSIFICATION, DETECTION, SEGMENTATION
from foveate.report.core.notation import NO_SPREAD
from foveate.report.explain.summary import ExplainSummary, ScoreTest

__all__ = ["explain_sentences"]

METHODS = {
    "gradcam++": "Grad-CAM++",
    "gradcam": "Grad-CAM",
    "hirescam": "HiResCAM",
    "eigencam": "Eigen-CAM",
}
OF_WHAT = {
    CLASSIFICATION.name: "for the class that the network answers",
    DETECTION.name: "for the best detection of the largest annotated object of each image",
    SEGMENTATION.name: "for the logits of one class of each image over the pixels that are labelled so, the "
    "most frequent class there but for the most frequent one of the set",
}
"""What the maps explain, by task."""
MOST_LAYERS = 3
"""At most this many layers are named."""
OF_OBJECTS = ("focus_ratio", "pointing_game")
"""The scores that compare a map with the object."""


def explain_sentences(summary: ExplainSummary) -> list[str]:
    """Return the findings, the main one first; a difference that is not significant is reported as such."""
    if not summary.rows:
        return ["No network's maps could be made."]
    unfound = "objects that a network does not find, " if summary.task == DETECTION.name else ""
    method, data = METHODS.get(summary.method, summary.method), summary.data
    is_short = len(summary.layers) <= MOST_LAYERS
    where = f"at {listing(summary.layers)}" if is_short else "at the last stage of each network"
    is_classified = summary.task == CLASSIFICATION.name
    objects = f", {data.with_object:,} with a known object" if data.with_object and is_classified else ""
    sentences = [
        _finding(summary),
        f"Maps are those of {method} {where}, {OF_WHAT[summary.task]}, on {data.about}{objects}.",
    ]
    if summary.method == "eigencam":
        sentences.append(
            "Eigen-CAM takes no account of what the network answers: its maps show the main direction in "
            "which the features of an image vary."
        )
    if any(score in summary.scores for score in OF_OBJECTS):
        sentences.append(
            "A map shows which pixels speak for the answer, not whether the answer is right: a better score "
            "does not mean a better network."
        )
    if not is_classified:
        sentences.append(
            "Both consistencies and ROAD need one answer for a whole image, and are not measured here."
        )
    if undefined := sum(score.undefined for row in summary.rows for score in row.given):
        sentences.append(
            f"{count(undefined, 'value')} {'is' if undefined == 1 else 'are'} undefined, for {unfound}maps "
            "that are 0 everywhere or objects that fill the image."
        )
    if data.left_out:
        were = "image or region was" if data.left_out == 1 else "images or regions were"
        sentences.append(f"{data.left_out:,} {were} excluded.")
    return sentences


def _finding(summary: ExplainSummary) -> str:
    tested = [test for test in summary.tests if test.outcome is not Outcome.UNTESTED]
    names = listing([_in_sentence(name) for name in summary.scores])
    if not tested:
        has_seeds = any(score.over == "seeds" for row in summary.rows for score in row.given)
        intervals = "" if has_seeds else ": intervals are over images alone"
        return f"Nothing is tested in {names}. {_why_untested(summary)}{intervals}."
    significant = [test for test in tested if test.is_significant]
    family = f"{count(len(tested), 'comparison')} with the baseline, adjusted for their number"
    if not significant:
        return f"In {names}, no mechanism differs significantly from the baseline ({family})."
    same = sum(test.outcome is Outcome.UNTESTED and test.test.n > 1 for test in summary.tests)
    family += f", and {same} more with {NO_SPREAD}" if same else ""
    number, rest = len(significant), len(tested) - len(significant)
    found = listing([_difference(test) for test in significant])
    finding = f"Of {family}, {number} {'is' if number == 1 else 'are'} significant: {found}."
    return finding + (f" The other {rest} {'is' if rest == 1 else 'are'} not significant." if rest else "")


def _difference(test: ScoreTest) -> str:
    difference = test.test.difference or 0.0
    way = "lower" if difference < 0 else "higher"
    better = "" if test.score in UNDIRECTED else f" ({test.outcome.value})"
    score, name = _in_sentence(test.score), display_name(test.b)
    return f"the {score} of {name} is {decimals(abs(difference), 3)} {way}{better}"


def _why_untested(summary: ExplainSummary) -> str:
    rows = summary.rows
    if len(rows) == 1:
        return "There is one network" if rows[0].runs == 1 else "There is one mechanism alone"
    if all(row.attention != BASELINE for row in rows):
        return "There is no baseline among them to compare with"
    if all(row.runs == 1 for row in rows):
        return "One network of each is no sample of trainings"
    if any(test.test.n > 1 for test in summary.tests):
        return f"Each mechanism has {NO_SPREAD}"
    return "No mechanism has two seeds in common with the baseline"


def _in_sentence(name: str) -> str:
    title = SCORES[name].title
    return title if title.isupper() else title[0].lower() + title[1:]
