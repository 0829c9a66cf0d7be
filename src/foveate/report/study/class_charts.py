"""The figures that look into the classes: accuracy by class, and confusion matrices."""

from statistics import fmean
from typing import Any

import altair as alt

from foveate.records.labels import display_name
from foveate.records.study import Records
from foveate.report.core.theme import Figure, mechanism_colour, mechanism_names, number_tip, specification
from foveate.report.study.class_changes import MANY_CLASSES, class_accuracy

__all__ = ["confusion", "per_class"]

CLASSES_WITH_FIGURES = 12
"""With more classes than this the cells of a confusion matrix are too small for figures."""


def per_class(summary: dict[str, Any], records: Records) -> Figure:
    """Show each class's accuracy, mean and range over seeds; of many classes those of the lowest mean.

    Classes without test images have none and are not shown.
    """
    values: list[dict[str, Any]] = []
    means: dict[str, float] = {}
    for index, name in enumerate(records.study["data"]["classes"]):
        of_class = []
        for label in records.finished:
            runs = records.results[label].values()
            found = [class_accuracy(run["test"]["per_class"][index]) for run in runs]
            over_seeds = [100 * accuracy for accuracy in found if accuracy is not None]
            if not over_seeds:
                continue
            value = {"class": name, "mechanism": display_name(label), "accuracy": fmean(over_seeds)}
            of_class.append(value | {"low": min(over_seeds), "high": max(over_seeds)})
        if not of_class:
            continue
        means[name] = fmean(value["accuracy"] for value in of_class)
        values += of_class
    hardest = set(sorted(means, key=means.__getitem__)[:MANY_CLASSES])
    shown = [name for name in means if name in hardest]
    names = mechanism_names(summary)
    base = alt.Chart(alt.Data(values=[value for value in values if value["class"] in hardest])).encode(
        y=alt.Y(
            "class:N", title=None, sort=shown, axis=alt.Axis(bandPosition=0, tickBand="extent", grid=True)
        ),
        yOffset=alt.YOffset("mechanism:N", sort=names, scale=alt.Scale(paddingOuter=0.9)),
        color=mechanism_colour(summary, legend=True),
    )
    accuracy = alt.X("accuracy:Q", title="Accuracy, %", scale=alt.Scale(zero=False))
    chart = alt.layer(
        base.mark_rule(strokeWidth=1.5, opacity=0.5).encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_circle(size=44, opacity=1).encode(
            x=accuracy,
            tooltip=["class:N", "mechanism:N", *(number_tip(field) for field in ("accuracy", "low", "high"))],
        ),
    )
    description = f"Accuracy within {len(shown)} classes, mean and range over seeds, for {', '.join(names)}."
    spec = specification(chart, description, height=len(shown) * max(22, 8 * len(names) + 8))
    return Figure("per_class", "classes", "Accuracy by class", description, spec)


def confusion(label: str, number: int, records: Records) -> Figure:
    """Show where the images of each true class went, in per cent of the class, all seeds together."""
    classes: list[str] = records.study["data"]["classes"]
    runs = [run["test"]["confusion"] for run in records.results[label].values()]
    values = []
    for row, true in enumerate(classes):
        counts = [sum(matrix[row][column] for matrix in runs) for column in range(len(classes))]
        values += [
            {"true": true, "predicted": predicted, "count": found, "percent": 100 * found / sum(counts)}
            for predicted, found in zip(classes, counts, strict=True)
            if found
        ]
    every = alt.Scale(domain=classes)
    angle = 0 if max(map(len, classes)) * len(classes) <= 30 else -90
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("predicted:N", title="Predicted", scale=every, axis=alt.Axis(grid=False, labelAngle=angle)),
        y=alt.Y("true:N", title="True", scale=every, axis=alt.Axis(grid=False)),
        tooltip=["true:N", "predicted:N", number_tip("count"), number_tip("percent", "% of the true class")],
    )
    # The square root lets a few mistakes show beside a full diagonal.
    heat = alt.Color("percent:Q", legend=None, scale=alt.Scale(type="sqrt", domain=[0, 100]))
    layers: list[alt.Chart] = [base.mark_rect().encode(color=heat)]
    if len(classes) <= CLASSES_WITH_FIGURES:
        figures = base.mark_text(fontSize=11, fill={"expr": "datum.percent > 40 ? paper : ink"})
        layers.append(figures.encode(text=alt.Text("percent:Q", format=".0f")))
    name = display_name(label)
    description = f"Confusion matrix of {name}: per cent of each true class, all seeds together."
    spec = specification(alt.layer(*layers), description, height=max(200, 24 * len(classes)))
    return Figure(f"confusion_{number}", "confusion", name, description, spec)
