"""The figures of classes: the score of each class, which of them gain and lose, and confusion matrices."""

from collections.abc import Sequence
from statistics import fmean

import altair as alt
import numpy as np

from foveate.notation import listing
from foveate.records.labels import display_name
from foveate.records.metric import Metric
from foveate.records.study import StudyRecords
from foveate.report.core.charts.axes import Caption, chart_of
from foveate.report.core.theme import (
    COLOURS,
    Figure,
    Spec,
    colour_of,
    mechanism_colours,
    mechanism_names,
    number_tip,
)
from foveate.report.study.class_changes import (
    MANY_CLASSES,
    ClassChange,
    changed_labels,
    class_changes_sentences,
    most_changed,
)
from foveate.report.study.confusions import Confusions
from foveate.report.study.summary import Summary

__all__ = ["class_changes_figure", "class_figures"]

CLASSES_WITH_NUMBERS = 12
"""With more classes than this the cells of a confusion matrix are too small for numbers."""
GAIN, LOSS = COLOURS[2], COLOURS[1]


def class_figures(summary: Summary, records: StudyRecords, confusions: Confusions) -> list[Figure]:
    """Make the figures of the classes of a study; none where its task has no scores by class."""
    changes = class_changes_figure(summary.class_changes, records.study.task.of_class)
    made = [figure for figure in (_scores(records), changes) if figure]
    if len(records.study.data.classes) <= MANY_CLASSES:
        made += [
            _confusion(label, number, confusions.classes, matrix)
            for number, label in enumerate(records.finished)
            if (matrix := confusions.together(label)) is not None
        ]
    return made


def _scores(records: StudyRecords) -> Figure | None:
    """Draw each class's score, mean and range over seeds; of many classes those of the lowest mean.

    A class that the test part has not has no score, and is not drawn.
    """
    metric = records.study.task.of_class
    by_class: dict[str, list[Spec]] = {}
    for label in records.finished:
        found: dict[str, list[float]] = {}
        for run in records.results[label].values():
            for scores in run.test.per_class:
                if (score := scores.score(metric)) is not None:
                    found.setdefault(scores.name, []).append(metric.scale * score)
        for name, values in found.items():
            value = {"class": name, "mechanism": display_name(label), metric.name: fmean(values)}
            by_class.setdefault(name, []).append(value | {"low": min(values), "high": max(values)})
    if not by_class:
        return None
    means = {name: fmean(value[metric.name] for value in values) for name, values in by_class.items()}
    hardest = set(sorted(means, key=means.__getitem__)[:MANY_CLASSES])
    classes = [name for name in records.study.data.classes if name in hardest]
    names = mechanism_names(records.finished)
    base = chart_of(value for name in classes for value in by_class[name]).encode(
        y=alt.Y(
            "class:N", title=None, sort=classes, axis=alt.Axis(bandPosition=0, tickBand="extent", grid=True)
        ),
        yOffset=alt.YOffset("mechanism:N", sort=names, scale=alt.Scale(paddingOuter=0.9)),
        color=colour_of("mechanism", mechanism_colours(names), legend=True),
    )
    at_score = alt.X(f"{metric.name}:Q", title=metric.heading, scale=alt.Scale(zero=False))
    tips = ["class:N", "mechanism:N", *(number_tip(field) for field in (metric.name, "low", "high"))]
    chart = alt.layer(
        base.mark_rule(strokeWidth=1.5, opacity=0.5).encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_circle(size=44, opacity=1).encode(x=at_score, tooltip=tips),
    )
    description = (
        f"{metric.title} within {len(classes)} classes, mean and range over seeds, for {', '.join(names)}."
    )
    caption = Caption("per_class", "classes", f"{metric.title} by class", description)
    return caption.figure(chart, height=len(classes) * max(22, 8 * len(names) + 8))


def class_changes_figure(
    changes: Sequence[ClassChange],
    metric: Metric,
    group: str = "classes",
    name: str = "class_changes",
    title: str = "Which classes gain, which lose",
) -> Figure | None:
    """Draw a cell for each class and mechanism: green gains, orange loses, with a frame if significant."""
    if not changes:
        return None
    names, classes = mechanism_names(changed_labels(changes)), most_changed(changes)
    drawn = [change for change in changes if change.name in classes]
    limit = max(1.0, *(abs(100 * change.difference) for change in drawn))
    numbers = [number_tip(field, style="+.2f") for field in ("change", "low", "high")]
    base = chart_of(map(_change, drawn)).encode(
        x=alt.X(
            "mechanism:N",
            title=None,
            sort=names,
            axis=alt.Axis(orient="top", labelAngle=0, grid=False),
        ),
        y=alt.Y("class:N", title=None, sort=classes, axis=alt.Axis(grid=False)),
        tooltip=["class:N", "mechanism:N", *numbers],
    )
    strength = alt.Opacity("size:Q", legend=None, scale=alt.Scale(domain=[0, limit], range=[0.04, 0.9]))
    sized = base.transform_calculate(size="abs(datum.change)")
    chart = alt.layer(
        sized.transform_filter("datum.change > 0").mark_rect(fill=GAIN).encode(opacity=strength),
        sized.transform_filter("datum.change <= 0").mark_rect(fill=LOSS).encode(opacity=strength),
        base.transform_filter("datum.significant").mark_rect(
            fill=None, stroke={"expr": "ink"}, strokeWidth=2, strokeOpacity=1
        ),
        base.mark_text(fontSize=11, fill={"expr": "ink"}).encode(text=alt.Text("change:Q", format="+.1f")),
    )
    description = (
        f"Change of {metric.noun} against the baseline in points by class, for {listing(names)}. "
        f"{' '.join(class_changes_sentences(changes))}"
    )
    return Caption(name, group, title, description).figure(chart, height=max(120, 22 * len(classes)))


def _change(change: ClassChange) -> Spec:
    value = {"class": change.name, "mechanism": display_name(change.attention)}
    ends = {"change": change.difference, "low": change.low, "high": change.high}
    points = {key: None if end is None else 100 * end for key, end in ends.items()}
    return {**value, **points, "significant": change.is_significant}


def _confusion(label: str, number: int, classes: Sequence[str], matrix: np.ndarray) -> Figure:
    """Draw where what is of each true class went, in per cent, all seeds together."""
    values = [
        {"true": true, "predicted": predicted, "count": count, "percent": 100 * count / sum(counts)}
        for true, counts in zip(classes, matrix.tolist(), strict=True)
        for predicted, count in zip(classes, counts, strict=True)
        if count
    ]
    every = alt.Scale(domain=[*classes])
    angle = 0 if max(map(len, classes)) * len(classes) <= 30 else -90
    base = chart_of(values).encode(
        x=alt.X("predicted:N", title="Predicted", scale=every, axis=alt.Axis(grid=False, labelAngle=angle)),
        y=alt.Y("true:N", title="True", scale=every, axis=alt.Axis(grid=False)),
        tooltip=["true:N", "predicted:N", number_tip("count"), number_tip("percent", "% of the true class")],
    )
    # The square root lets a few mistakes show beside a full diagonal.
    heat = alt.Color("percent:Q", legend=None, scale=alt.Scale(type="sqrt", domain=[0, 100]))
    layers: list[alt.Chart] = [base.mark_rect().encode(color=heat)]
    if len(classes) <= CLASSES_WITH_NUMBERS:
        numbers = base.mark_text(fontSize=11, fill={"expr": "datum.percent > 40 ? paper : ink"})
        layers.append(numbers.encode(text=alt.Text("percent:Q", format=".0f")))
    name = display_name(label)
    description = f"Confusion matrix of {name}: per cent of each true class, all seeds together."
    caption = Caption(f"confusion_{number}", "confusion", name, description)
    return caption.figure(alt.layer(*layers), height=max(200, 24 * len(classes)))
