"""Whether networks were trained long enough: still improving at the end, or not above chance."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from foveate.evaluation.significance import ALPHA
from foveate.evaluation.training_end import length_of_end
from foveate.notation import listing
from foveate.records.labels import BASELINE, display_name
from foveate.records.metric import DETECTION, Metric
from foveate.records.run import Epoch
from foveate.report.study.summary import Summary, SummaryRow

__all__ = ["chance_sentences", "guessing_sentence", "improvement_sentences", "is_still_improving"]

WORTH = 0.03
"""A rise over the end of a training counts from this share of the whole rise since the first epoch."""
NEXT_TO_NOTHING = 0.01
"""A detector with a lower mAP50 finds next to nothing: guessing has no mAP that it could be compared with."""


def is_still_improving(runs: Sequence[Sequence[Epoch]], metric: Metric) -> bool | None:
    """Return whether the validation metric of a candidate still improves at the end of its training.

    `runs` are the epochs of its runs, one sequence for each seed. A line is fitted to the values at the end
    of the training (`length_of_end`), with one slope for all seeds and an intercept for each. Values are
    taken times -1 where lower is better. The metric still improves if both hold:

    * the slope is positive: t = slope / standard error, one-sided at 5 %, where the error comes from the
      spread of all seeds about their lines, so that noise from epoch to epoch and seeds that disagree do not
      count as improvement;
    * it matters: the rise along the line, from the first to the last epoch of that end, is at least 3 % of
      the mean rise from the first epoch of the training to the last. A long training rises for ever, by less
      and less.

    None where this cannot be said: fewer than two epochs, or too few values for an error.
    """
    slope_sum = squares = residual = steps = whole = 0.0
    values_used = 0
    for epochs in runs:
        values = metric.sign * np.array([epoch.validation(metric) for epoch in epochs], dtype=float)
        end = values[-length_of_end(len(values)) :]
        x = np.arange(len(end)) - (len(end) - 1) / 2
        slope_sum += float(x @ end)
        squares += float(x @ x)
        residual += float(((end - end.mean()) ** 2).sum())
        steps += (len(end) - 1) / len(runs)
        whole += float(values[-1] - values[0]) / len(runs)
        values_used += len(end)
    freedom = values_used - len(runs) - 1
    if freedom < 1 or not squares:
        return None
    slope = slope_sum / squares
    error = math.sqrt(max(residual - slope * slope_sum, 0.0) / freedom / squares)
    is_positive = slope > stats.t.isf(ALPHA, freedom) * error
    return bool(is_positive and slope * steps >= WORTH * whole)


def chance_sentences(summary: Summary) -> list[str]:
    """Say that the baseline is not above chance; without a baseline, that candidates are not."""
    guess, metric = summary.guessing, summary.metric
    if summary.study.task == DETECTION:
        return _nothing_found(summary)
    if guess is None:
        return []
    rows = [row for row in _judged(summary) if not guess.is_beaten_by(row.scores[metric.name].mean or 0.0)]
    if not rows:
        return []
    reached = listing([f"{metric.write(row.scores[metric.name].mean)} %" for row in rows])
    return [
        f"{_subject(rows)} not above chance: {reached} of {guess.images} answers are right, which guessing "
        f"({metric.write(guess.best)} %) makes by chance, too. A comparison with networks that have learned "
        "nothing shows nothing."
    ]


def _nothing_found(summary: Summary) -> list[str]:
    """Say that the baseline, or without one that candidates, find next to no objects."""
    metric = next(metric for metric in summary.study.task.metrics if metric.name == "map50")
    rows = [row for row in _judged(summary) if (row.scores[metric.name].mean or 0.0) < NEXT_TO_NOTHING]
    if not rows:
        return []
    reached = listing([f"{metric.write(row.scores[metric.name].mean)} %" for row in rows])
    return [
        f"{_subject(rows)} finding next to nothing, with an {metric.title} of {reached}. A comparison with "
        "networks that have learned nothing shows nothing: train longer."
    ]


def improvement_sentences(summary: Summary) -> list[str]:
    """Warn that the baseline is still improving at the end; without a baseline, that candidates are."""
    rows = [row for row in _judged(summary) if row.still_improving]
    if not rows:
        return []
    they_are = "it is" if len(rows) == 1 else "they are"
    return [
        f"{_subject(rows)} still improving at the end of the training, so {they_are} undertrained: "
        "differences may well change with longer training. Train longer before you add seeds."
    ]


def guessing_sentence(summary: Summary) -> str:
    """Say what guessing gets on the test part; "" where it is not known."""
    found, metric = summary.guessing, summary.metric
    if found is None:
        return ""
    classes = len(summary.study.data.classes)
    if found.majority <= found.chance:
        return (
            f"Guessing gets {metric.write(found.chance)} % (chance): the test part has as many images of "
            f"each of the {classes} classes."
        )
    return (
        f"Guessing one of {classes} classes gets {metric.write(found.chance)} % (chance); always answering "
        f"{found.majority_class}, the most frequent class of the test part, gets "
        f"{metric.write(found.majority)} %."
    )


def _judged(summary: Summary) -> list[SummaryRow]:
    """Return the row of the baseline; without one, every row."""
    return [row for row in summary.rows if row.attention == BASELINE] or list(summary.rows)


def _subject(rows: Sequence[SummaryRow]) -> str:
    labels = [row.attention for row in rows]
    return (
        "The baseline is"
        if labels == [BASELINE]
        else f"{listing([display_name(label) for label in labels])} {'is' if len(rows) == 1 else 'are'}"
    )
