"""Which classes gain and which lose against plain, with intervals adjusted for their number.

Ten classes times five mechanisms are fifty differences, of which some are large by chance alone. So every
interval here is wide enough that all of them hold at once (see foveate.evaluation.simultaneous).
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import altair as alt

from foveate.errors import shortened
from foveate.evaluation.intervals import SHARE
from foveate.evaluation.simultaneous import simultaneous_differences
from foveate.evaluation.statistics import ROUNDING
from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import NO_SPREAD, NOTHING, count, interval, listing, points
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.core.theme import COLOURS, Figure, number_tip, specification

__all__ = [
    "MANY_CLASSES",
    "PerClass",
    "class_accuracy",
    "class_changes",
    "class_changes_figure",
    "class_changes_sentences",
    "class_changes_table",
    "untested_classes",
]

MANY_CLASSES = 30
"""Of more classes figures show the hardest, or those that change most, and no confusion matrices."""
GAIN, LOSS = COLOURS[2], COLOURS[1]

PerClass = Mapping[str, Mapping[Any, Sequence[Mapping[str, Any]]]]
"""By label, by seed: a row a class, with "class" and "accuracy", as the record of a run has them."""


def class_accuracy(row: Mapping[str, Any]) -> float | None:
    """The accuracy of a class; None without test images, for which foveate 0.1.0 recorded 0."""
    return row["accuracy"] if row.get("support", 1) else None


def untested_classes(per_class: PerClass, classes: Sequence[str]) -> list[str]:
    """The classes of which a run has no test image, so that nothing can be said of them."""
    without = {
        row["class"]
        for by_seed in per_class.values()
        for rows in by_seed.values()
        for row in rows
        if class_accuracy(row) is None
    }
    return [name for name in classes if name in without]


def class_changes(per_class: PerClass, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The change of each class's accuracy from plain to each mechanism, paired by seed.

    The family is all of them, classes × mechanisms, without the classes that have no test images (see
    `untested_classes`). No rows where there is no plain to compare with.

    Returns a row a mechanism and class: {"attention", "class", "plain", "accuracy" (means over the seeds that
    both have), "difference", "low", "high" (the simultaneous 95 % interval, or None),
    "p_adjusted", "n", "family", "shown"}. A change that is the same in each seed has no interval and no p.
    """
    if BASELINE not in per_class:
        return []
    accuracies = {
        label: {seed: {row["class"]: row["accuracy"] for row in rows} for seed, rows in by_seed.items()}
        for label, by_seed in per_class.items()
    }
    untested = untested_classes(per_class, classes)
    tested = [name for name in classes if name not in untested]
    plain = accuracies.pop(BASELINE)
    asked, pairs = [], []
    for label, by_seed in accuracies.items():
        seeds = [seed for seed in by_seed if seed in plain]
        for name in tested if seeds else ():
            asked.append((label, name))
            pairs.append(([plain[seed][name] for seed in seeds], [by_seed[seed][name] for seed in seeds]))
    rows = []
    for (label, name), (before, after), change in zip(
        asked, pairs, simultaneous_differences(pairs, SHARE), strict=True
    ):
        low, high = change["interval"] or (None, None)
        difference = change["difference"] if abs(change["difference"]) > ROUNDING else 0.0
        rows.append(
            {
                "attention": label,
                "class": name,
                "plain": fmean(before),
                "accuracy": fmean(after),
                "difference": difference,
                "low": low,
                "high": high,
                **{key: change[key] for key in ("p_adjusted", "n", "family", "shown")},
            }
        )
    return rows


def class_changes_sentences(changes: Sequence[Mapping[str, Any]], untested: Sequence[str] = ()) -> list[str]:
    """What can be said of the classes; where no change is shown, that. `untested` are named at the end."""
    if untested:
        named = shortened(untested, MANY_CLASSES)
        return [*class_changes_sentences(changes), f"Without test images, and not tested: {named}."]
    if not changes:
        return []
    family = changes[0]["family"]
    largest = max(changes, key=lambda row: abs(row["difference"]))
    seen = (
        f"The largest change seen is that of {largest['class']} with {largest['attention']}, "
        f"{points(largest['difference'])} points"
    )
    if not family:
        return [f"With one seed nobody can tell which classes gain or lose. {seen}."]
    shown = [row for row in changes if row["shown"]]
    classes = len({row["class"] for row in changes})
    whole = f"{len(changes)} changes ({count(len(_labels(changes)), 'mechanism')} by {classes} classes)"
    if not shown:
        same = largest["low"] is None and largest["n"] > 1
        tail = NO_SPREAD if same else _bounds(largest)
        return [
            f"No class's change is shown: of {whole} none has an interval, adjusted for their number, that "
            f"leaves out 0. {seen} ({tail}). {_reach(changes)}"
        ]
    sentences = [
        f"Of {whole} {len(shown)} {'is' if len(shown) == 1 else 'are'} shown, by intervals that are adjusted "
        "for their number."
    ]
    for label in dict.fromkeys(row["attention"] for row in shown):
        own = [row for row in shown if row["attention"] == label]
        for verb, sign in (("gains", 1), ("loses", -1)):
            found = sorted(
                (row for row in own if sign * row["difference"] > 0), key=lambda row: -abs(row["difference"])
            )
            if found:
                named = listing(
                    [f"{row['class']} ({points(row['difference'])}; {_bounds(row)})" for row in found]
                )
                sentences.append(f"{display_name(label)} {verb} on {named}, in points.")
    return sentences


def class_changes_table(changes: Sequence[Mapping[str, Any]], name: str = "class_changes") -> Table | None:
    """One row a class, one column a mechanism; None where there is nothing to show."""
    if not changes:
        return None
    labels, cells = _labels(changes), {(row["attention"], row["class"]): row for row in changes}
    family = changes[0]["family"]
    note = (
        f"Mean change in points; below, its interval at 95 % for all {family} changes together. One that is "
        "the same in each seed has none: there is no spread to test against."
    )
    columns = [
        Column("Class"),
        Column("Plain, %", "Share of the class's test images that plain gets right, mean over seeds."),
        *(Column(display_name(label), note if label == labels[0] else "") for label in labels),
    ]
    rows = []
    for of_class in _classes(changes):
        found = [cells.get((label, of_class)) for label in labels]
        first = next(row for row in found if row)
        rows.append(
            [
                Cell(of_class),
                Cell(f"{100 * first['plain']:.1f}"),
                *(
                    Cell(points(row["difference"]) + ("*" if row["shown"] else ""), _bounds(row, empty=""))
                    if row
                    else Cell(NOTHING)
                    for row in found
                ),
            ]
        )
    caption = f"Accuracy by class against plain{_cut(changes)} (*: shown)"
    return Table(name, caption, columns, rows)


def class_changes_figure(
    changes: Sequence[Mapping[str, Any]],
    group: str = "classes",
    name: str = "class_changes",
    title: str = "Which classes gain, which lose",
) -> Figure | None:
    """A field a class and mechanism: green gains, orange loses, the stronger the more; shown ones framed."""
    if not changes:
        return None
    labels, classes = _labels(changes), _classes(changes)
    values = [
        {"class": row["class"], "mechanism": display_name(row["attention"]), "shown": row["shown"]}
        | {"change": 100 * row["difference"]}
        | {end: None if row[end] is None else 100 * row[end] for end in ("low", "high")}
        for row in changes
        if row["class"] in classes
    ]
    limit = max(1.0, *(abs(value["change"]) for value in values))
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "mechanism:N",
            title=None,
            sort=[display_name(label) for label in labels],
            axis=alt.Axis(orient="top", labelAngle=0, grid=False),
        ),
        y=alt.Y("class:N", title=None, sort=classes, axis=alt.Axis(grid=False)),
        tooltip=[
            "class:N",
            "mechanism:N",
            *(number_tip(field, style="+.2f") for field in ("change", "low", "high")),
        ],
    )
    strength = alt.Opacity("size:Q", legend=None, scale=alt.Scale(domain=[0, limit], range=[0.04, 0.9]))
    sized = base.transform_calculate(size="abs(datum.change)")
    chart = alt.layer(
        sized.transform_filter("datum.change > 0").mark_rect(fill=GAIN).encode(opacity=strength),
        sized.transform_filter("datum.change <= 0").mark_rect(fill=LOSS).encode(opacity=strength),
        base.transform_filter("datum.shown").mark_rect(
            fill=None, stroke={"expr": "ink"}, strokeWidth=2, strokeOpacity=1
        ),
        base.mark_text(fontSize=11, fill={"expr": "ink"}).encode(text=alt.Text("change:Q", format="+.1f")),
    )
    description = (
        f"Change of accuracy against plain in points by class, for "
        f"{listing([display_name(label) for label in labels])}. {' '.join(class_changes_sentences(changes))}"
    )
    spec = specification(chart, description, height=max(120, 22 * len(classes)))
    return Figure(name, group, title, description, spec)


def _labels(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["attention"] for row in changes))


def _classes(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The classes that are looked at, in their order: all, or of many those of the largest changes."""
    largest: dict[str, float] = {}
    for row in changes:
        largest[row["class"]] = max(largest.get(row["class"], 0.0), abs(row["difference"]))
    kept = set(sorted(largest, key=largest.__getitem__, reverse=True)[:MANY_CLASSES])
    return [name for name in largest if name in kept]


def _cut(changes: Sequence[Mapping[str, Any]]) -> str:
    every = len({row["class"] for row in changes})
    return f", the {MANY_CLASSES} of {every} classes that change most" if every > MANY_CLASSES else ""


def _reach(changes: Sequence[Mapping[str, Any]]) -> str:
    """How wide the intervals are: what not seeing a change is worth."""
    said = "That does not mean that there is none"
    halves = [(row["high"] - row["low"]) / 2 for row in changes if row["low"] is not None]
    if not halves:
        return f"{said}."
    wide = f"further than {100 * median(halves):.0f} points to either side"
    if median(halves) > 0.9:
        wide = "over nearly all that is possible"
    return f"{said}: with {count(changes[0]['n'], 'seed')} half of the intervals reach {wide}."


def _bounds(row: Mapping[str, Any], empty: str = NOTHING) -> str:
    if row["low"] is None:
        return empty if row["n"] < 2 else "same in each seed"
    if row["high"] - row["low"] > 1.999:
        return "±100"
    return interval([row["low"], row["high"]], 1, scale=100)
