"""What the two articles print (articles.yaml), and which of it is closest to a study."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter

from foveate.evaluation.comparisons import Comparison
from foveate.records.base import Json
from foveate.records.design import Kind
from foveate.records.labels import BASELINE
from foveate.records.study import StudyData, StudyDescription
from foveate.report.study.article_names import check_article
from foveate.report.study.printed import PrintedCost, PrintedDifference, PrintedFigures, PrintedRow
from foveate.report.study.summary import Summary

__all__ = ["Article", "find_article", "printed_beside"]

METRIC = "accuracy"
"""The metric whose gains the articles print; they say nothing about a study of another metric."""
DIGITS = 8
"""Decimals to which a fraction is rounded: a division by 100 may add a rounding error."""
SIZES = {"parameters": 1e6, "macs": 1e9, "loss": 1.0}
"""The units of what is not printed in per cent."""
TUNED = ("learning_rate", "weight_decay")
"""The keys of a recipe that each candidate of a tuned study has its own values of."""

Table = Mapping[str, Mapping[str, float]]


def _in_fractions(points: Table) -> dict[str, dict[str, float]]:
    """Return the points of each part, by group, as fractions."""
    return {
        group: {title: round(value / 100, DIGITS) for title, value in parts.items()}
        for group, parts in points.items()
    }


def _in_our_units(table: Table) -> dict[str, PrintedRow]:
    """Return the rows of a printed table in the units of a summary."""
    return {
        label: PrintedRow(**{key: round(value * SIZES.get(key, 0.01), DIGITS) for key, value in row.items()})
        for label, row in table.items()
    }


def _choices(recipe: Mapping[str, Json]) -> dict[str, list[Json]]:
    """Return for each setting of `recipe` the values that it may have: a list, or one value."""
    return {key: value if isinstance(value, list) else [value] for key, value in recipe.items()}


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Setting(_Entry):
    """The setting of printed figures.

    `backbones`, `datasets`, `classes`, `image_size` and `recipe` say which studies have that setting;
    `kind` is the kind of study, where it is not a comparison of mechanisms.
    """

    network: str
    data: str
    words: str
    kind: Kind | None = None
    backbones: tuple[str, ...]
    datasets: tuple[str, ...]
    classes: int
    image_size: int
    recipe: Annotated[dict[str, list[Json]], BeforeValidator(_choices)]

    def __str__(self) -> str:
        return f"{self.network}, {self.data}, {self.recipe['epochs'][0]} epochs, {self.words}"

    def has_network(self, study: StudyDescription) -> bool:
        """Return whether the study's backbone is that network, from whichever library."""
        return study.backbone.removeprefix("torchvision/").partition(".")[0] in self.backbones

    def has_data(self, data: StudyData) -> bool:
        """Return whether the data have that name and as many classes."""
        return self.has_name(data) and len(data.classes) == self.classes

    def has_name(self, data: StudyData) -> bool:
        """Return whether the data have that name: "uoft-cs/cifar10", "CIFAR-10" and "cifar10" are one."""
        name = data.name.rpartition("/")[2].partition(":")[0].lower()
        return re.sub(r"[^a-z0-9]", "", name) in self.datasets

    def differences(self, study: StudyDescription) -> tuple[str, ...]:
        """Say in which respects `study` differs, each as "30 epochs instead of 200"."""
        data, differs = study.data, []
        if self.kind != "networks" and not self.has_network(study):
            differs.append(f"{study.backbone} instead of {self.network}")
        if not self.has_data(data):
            classes = f" of {len(data.classes)} classes" if self.has_name(data) else ""
            differs.append(f"{data.name}{classes} instead of {self.data}")
        if data.train_fraction not in (None, 1):
            differs.append(f"{100 * data.train_fraction:g} % of the training part instead of all of it")
        if study.pretrained:
            differs.append("pretrained weights instead of random ones")
        if data.image_size != self.image_size:
            differs.append(f"images of {data.image_size} pixels instead of {self.image_size}")
        if study.tuning is not None:
            differs.append("learning rate and weight decay tuned for each candidate")
        for key, theirs in self.recipe.items():
            if study.tuning is not None and key in TUNED:
                continue
            ours = study.recipe.get(key)
            if ours is not None and ours not in theirs:
                differs.append(f"{key.replace('_', ' ')} {_listed(ours)} instead of {_listed(theirs[0])}")
        return tuple(differs)


class Results(Setting):
    """A printed table of results, by the labels of our candidates."""

    rows: Annotated[dict[str, PrintedRow], BeforeValidator(_in_our_units)]


class Parts(Setting):
    """The printed gains of a mechanism's parts, by the group and the title of our planned comparison."""

    points: Annotated[dict[str, dict[str, float]], BeforeValidator(_in_fractions)]

    def difference(self, test: Comparison) -> float | None:
        """Return the printed gain of a planned comparison; None where there is none."""
        if test.group is None or test.title is None:
            return None
        return self.points.get(test.group, {}).get(test.title)


class Article(_Entry):
    """What an article prints, in the units of a summary; what it does not print is not here."""

    title: str
    by: str
    doi: str
    settings: tuple[Results, ...]
    ablation: Parts | None = None
    cost: PrintedCost | None = None


def find_article(name: str) -> Article:
    """Return the article `name`.

    Raises:
        RequestError: there is no such article.
    """
    check_article(name)
    return _articles()[name]


def printed_beside(name: str, summary: Summary) -> PrintedFigures:
    """Return the printed figures of the article `name` that are closest to the study of `summary`.

    Same data and same network come first, then the same data, then the same network, then what the article
    prints first.

    Raises:
        RequestError: there is no such article.
    """
    article, study = find_article(name), summary.study
    kind = study.design.kind if study.design.kind == "networks" else None
    setting = max(
        [setting for setting in article.settings if setting.kind == kind] or article.settings,
        key=lambda setting: (setting.has_data(study.data), setting.has_network(study)),
    )
    is_of_metric = summary.metric.name == METRIC
    rows, parts = (_with_gains(setting.rows), article.ablation) if is_of_metric else ({}, None)
    has_parts = parts and any(parts.difference(test) is not None for test in summary.comparisons)
    apart: Setting = parts if parts and has_parts else setting
    printed = [(test, _difference(test, rows, parts)) for test in summary.comparisons]
    return PrintedFigures(
        article=name,
        title=article.title,
        by=article.by,
        doi=article.doi,
        setting=str(setting),
        differs=setting.differences(study),
        rows={row.attention: rows[row.attention] for row in summary.rows if row.attention in rows},
        contrasts=tuple(
            PrintedDifference(test.a, test.b, test.title, test.group, difference)
            for test, difference in printed
            if difference is not None
        ),
        contrasts_setting=str(apart),
        contrasts_differ=apart.differences(study),
        cost=article.cost,
    )


@lru_cache(maxsize=1)
def _articles() -> dict[str, Article]:
    text = Path(__file__).with_name("articles.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Article]).validate_python(yaml.safe_load(text))


def _with_gains(rows: Mapping[str, PrintedRow]) -> dict[str, PrintedRow]:
    """Return `rows`, where a gain that is not printed itself is the difference of the accuracies."""
    return {
        label: replace(row, gain=_gain(rows, BASELINE, label))
        if row.gain is None and label != BASELINE
        else row
        for label, row in rows.items()
    }


def _gain(rows: Mapping[str, PrintedRow], a: str, b: str) -> float | None:
    before, after = (rows.get(label, PrintedRow()).accuracy for label in (a, b))
    return None if before is None or after is None else round(after - before, DIGITS)


def _difference(test: Comparison, rows: Mapping[str, PrintedRow], parts: Parts | None) -> float | None:
    """Return what is printed of a comparison: of a part, of a mechanism's gain, or between two accuracies."""
    of_part = parts.difference(test) if parts else None
    if of_part is not None:
        return of_part
    if test.a == BASELINE:
        return rows.get(test.b, PrintedRow()).gain
    return _gain(rows, test.a, test.b)


def _listed(value: Json) -> str:
    return "+".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
