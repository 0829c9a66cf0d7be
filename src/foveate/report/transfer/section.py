"""The section on transfer: what networks of one set of images know of another, directly or trained on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foveate.evaluation.intervals import AMOUNT, SHARE
from foveate.evaluation.statistics import adjust_tests, describe, paired_test
from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import NO_SPREAD, count, listing, p_value, points, spread
from foveate.report.core.section import Section
from foveate.report.core.tables import Table
from foveate.report.core.theme import Figure
from foveate.report.study.class_changes import (
    class_changes,
    class_changes_figure,
    class_changes_sentences,
    class_changes_table,
    untested_classes,
)
from foveate.report.transfer.charts import accuracy_figure
from foveate.report.transfer.tables import WAYS, flat_row, is_shown, transfer_table, way_title

__all__ = ["summarise_transfer", "transfer_section"]

Row = Mapping[str, Any]


def summarise_transfer(record: Row) -> dict[str, Any]:
    """What a record of transfer comes to, in plain numbers.

    Returns {"target", "ways", "comparisons", "left_out", "warnings"}. A way is {"way", "backbone", "choices",
    "chance", "images", "rows", "changes", "untested"}: a row a mechanism, {"attention", "runs", "accuracy",
    "loss" (as `describe` gives them), "test"}, plain first; its "test" is `paired_test` of its accuracy
    against plain's by seed, with "p_adjusted" by Holm over all comparisons of the record, or None where there
    is no plain; "changes" are those of `class_changes`, "untested" the classes without test images. A
    mechanism that was attached to a plain network is compared with that network, fine-tuned without it.
    """
    groups: dict[tuple[Any, ...], dict[str, dict[Any, Row]]] = {}
    for row in record["rows"]:
        groups.setdefault(_group(row), {}).setdefault(row["key"]["label"], {})[row["key"]["seed"]] = row
    for (way, *rest), by_label in groups.items():
        beside = groups.get(("finetune", *rest), {})
        if way == "attached" and BASELINE in beside:
            by_label[BASELINE] = beside[BASELINE]
    order = list(WAYS)
    ways = [_way(key, groups[key]) for key in sorted(groups, key=lambda key: (order.index(key[0]), key[1]))]
    # Plain is there twice where mechanisms were attached to it; it is compared with nothing.
    tests = [row["test"] for way in ways for row in way["rows"] if row["test"]]
    adjust_tests(tests)
    return {
        "target": record["data"]["name"],
        "ways": ways,
        "comparisons": len(tests),
        "left_out": record["left_out"],
        "warnings": record["warnings"],
    }


def _group(row: Row) -> tuple[Any, ...]:
    """What rows must share to be compared: the way, the backbone, the answers, the images."""
    names = json.dumps([of_class["class"] for of_class in row["per_class"]])
    return row["key"]["way"], row["key"]["backbone"], names, row["images"]


def _way(key: tuple[Any, ...], by_label: dict[str, dict[Any, Row]]) -> dict[str, Any]:
    way, backbone, names, images = key
    labels = sorted(by_label, key=lambda label: label != BASELINE)
    by_class = {label: {seed: row["per_class"] for seed, row in by_label[label].items()} for label in labels}
    choices = json.loads(names)
    return {
        "way": way,
        "backbone": backbone,
        "choices": choices,
        "chance": 1 / len(choices),
        "images": images,
        "rows": [_row(label, by_label) for label in labels],
        "changes": class_changes(by_class, choices),
        "untested": untested_classes(by_class, choices),
    }


def _row(label: str, by_label: dict[str, dict[Any, Row]]) -> dict[str, Any]:
    own, plain = by_label[label], by_label.get(BASELINE, {})
    test = None
    if label != BASELINE and (shared := [seed for seed in own if seed in plain]):
        before, after = ([runs[seed]["accuracy"] for seed in shared] for runs in (plain, own))
        test = paired_test(before, after, SHARE)
    return {
        "attention": label,
        "runs": len(own),
        **{
            score: describe([row[score] for row in own.values()], bounds)
            for score, bounds in (("accuracy", SHARE), ("loss", AMOUNT), ("ece", SHARE))
        },
        "test": test,
    }


def transfer_section(record: Row, folder: Path | None = None) -> Section:
    """The section of a record of transfer; `folder`, where it lies, is not looked into."""
    summary = summarise_transfer(record)
    name = str(record["kind"])
    stem = name.replace("-", "_")
    several = len({way["backbone"] for way in summary["ways"]}) > 1
    sentences: list[str] = []
    figures: list[Figure | None] = []
    tables: list[Table | None] = [transfer_table(summary, stem, several)]
    numbers: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    for place, way in enumerate(summary["ways"]):
        own = f"{stem}_{way['way']}" + (f"_{place}" if several else "")
        title = way_title(way, several)
        sentences += [*_sentences(way, title), *class_changes_sentences(way["changes"], way["untested"])]
        figures.append(accuracy_figure(way, own, name, title))
        figures.append(class_changes_figure(way["changes"], name, f"{own}_classes", f"By class, {title}"))
        tables.append(_renamed(class_changes_table(way["changes"], f"{own}_classes"), title))
        numbers += [flat_row(way, row) for row in way["rows"]]
        changes += [{"way": way["way"], "backbone": way["backbone"], **row} for row in way["changes"]]
    return Section(
        name,
        f"Transfer to {record['data']['name']}",
        sentences,
        [figure for figure in figures if figure],
        [table for table in tables if table],
        numbers={stem: numbers, f"{stem}_classes": changes},
        summary=summary,
    )


def _renamed(table: Table | None, title: str) -> Table | None:
    return table and Table(table.name, f"{table.caption}, {title}", table.columns, table.rows)


def _sentences(way: Row, title: str) -> list[str]:
    """Who differs from plain, and what everybody should be measured against: guessing."""
    best = max(way["rows"], key=lambda row: row["accuracy"]["mean"])
    opening = (
        f"{title.capitalize()}, {count(len(way['choices']), 'answer')} to choose from and "
        f"{way['images']:,} images: the highest mean is that of {display_name(best['attention'])}, "
        f"{spread(best['accuracy'], 1, scale=100)} % (guessing: {100 * way['chance']:.1f} %)."
    )
    tests = [row for row in way["rows"] if row["test"]]
    if not tests:
        return [opening]
    if all(row["test"]["n"] < 2 for row in tests):
        return [opening, "With one seed no test is possible."]
    sentences = [opening]
    shown = [row for row in tests if is_shown(row["test"])]
    for row in shown:
        verb = "better" if row["test"]["difference"] > 0 else "worse"
        sentences.append(
            f"{row['attention']} is {verb} than plain by {abs(100 * row['test']['difference']):.2f} points "
            f"(adjusted p {_p(row['test'])})."
        )
    same = [row for row in tests if row["test"]["n"] > 1 and row["test"]["p_adjusted"] is None]
    sentences += [
        f"{row['attention']}: {points(row['test']['difference'])} points, {NO_SPREAD}." for row in same
    ]
    unshown = [row["attention"] for row in tests if row not in shown and row not in same]
    if unshown:
        sentences.append(
            f"For {listing(unshown)} no difference from plain was shown, which does not mean that there is "
            "none."
        )
    return sentences


def _p(test: Row) -> str:
    said = p_value(test["p_adjusted"])
    return said if said.startswith("<") else f"= {said}"
