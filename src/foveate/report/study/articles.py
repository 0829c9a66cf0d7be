"""The figures that the two articles print, and which of them stand nearest to a study: theirs, never ours.

They lie in articles.yaml. What is given here has the form of a summary's own numbers, accuracies and gains as
fractions, and is kept apart from them under the summary's key "against".
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from foveate.errors import RequestError, unknown_name
from foveate.records.labels import BASELINE

__all__ = ["article_names", "find_article", "printed_beside"]

PERCENT = ("accuracy", "std", "gain", "precision", "recall", "f1")
SIZES = {"parameters": 1e6, "macs": 1e9}


def article_names() -> list[str]:
    """Name the articles that `--against` takes."""
    return list(_articles())


def find_article(name: str) -> dict[str, Any]:
    """Return what articles.yaml has of `name`. Raises RequestError where there is no such article."""
    if name not in _articles():
        raise RequestError(unknown_name("article", name, _articles()))
    return _articles()[name]


def printed_beside(name: str, summary: dict[str, Any]) -> dict[str, Any]:
    """Give the printed figures of the article `name` that stand nearest to the study of `summary`.

    Same data and same network come first, then the same data, then the same network, then what the article
    prints first. Returns {"article", "title", "by", "doi", "setting", "differs", "rows", "contrasts",
    "contrasts_setting", "contrasts_differ", "cost"}: "setting" says in words what the figures are of, and
    "differs" in which respects the study is another. "rows" has the figures by label, of the labels that have
    any; "contrasts" the printed points of the study's tests that have any.
    """
    article, study = find_article(name), summary["study"]
    kind = study["design"]["kind"] if study["design"]["kind"] == "networks" else None
    settings = [setting for setting in article["settings"] if setting.get("kind") == kind]
    setting = max(
        settings or article["settings"],
        key=lambda setting: (_same_data(setting, study), _same_network(setting, study)),
    )
    figures = {label: _in_our_units(row) for label, row in setting["rows"].items()}
    for label, row in figures.items():
        gain = _difference(figures, BASELINE, label)
        if label != BASELINE and gain is not None:
            row.setdefault("gain", gain)
    ablation = article.get("ablation")
    contrasts = [(test, _points(test, figures, ablation)) for test in summary["tests"]]
    # The points of an ablation may be of another setting than the accuracies.
    apart = ablation if ablation and any(_of_part(test, ablation) for test in summary["tests"]) else setting
    return {
        "article": name,
        **{key: article[key] for key in ("title", "by", "doi")},
        "setting": _in_words(setting),
        "differs": _differs(setting, study),
        "rows": {
            row["attention"]: figures[row["attention"]]
            for row in summary["rows"]
            if row["attention"] in figures
        },
        "contrasts": [
            {key: test[key] for key in ("a", "b", "title", "group") if key in test} | {"difference": points}
            for test, points in contrasts
            if points is not None
        ],
        "contrasts_setting": _in_words(apart),
        "contrasts_differ": _differs(apart, study),
        "cost": article.get("cost"),
    }


@lru_cache(maxsize=1)
def _articles() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(Path(__file__).with_name("articles.yaml").read_text(encoding="utf-8"))


def _in_our_units(row: dict[str, float]) -> dict[str, float]:
    """Fractions for per cent, single parameters and multiply-adds; rounded, for 96.5 / 100 is no 0.965."""
    return {
        key: round(value / 100, 8) if key in PERCENT else round(value * SIZES.get(key, 1), 8)
        for key, value in row.items()
    }


def _difference(figures: dict[str, dict[str, float]], a: str, b: str) -> float | None:
    printed = [figures.get(label, {}).get("accuracy") for label in (a, b)]
    if printed[0] is None or printed[1] is None:
        return None
    return round(printed[1] - printed[0], 8)


def _of_part(test: dict[str, Any], ablation: dict[str, Any]) -> float | None:
    return ablation["points"].get(test.get("group"), {}).get(test.get("title"))


def _points(
    test: dict[str, Any], figures: dict[str, dict[str, float]], ablation: dict[str, Any] | None
) -> float | None:
    """What is printed of one comparison: of a part, of a mechanism's gain, or between two accuracies."""
    of_part = _of_part(test, ablation) if ablation else None
    if of_part is not None:
        return round(of_part / 100, 8)
    if test["a"] == BASELINE:
        return figures.get(test["b"], {}).get("gain")
    return _difference(figures, test["a"], test["b"])


def _in_words(setting: dict[str, Any]) -> str:
    epochs = setting["recipe"]["epochs"]
    return f"{setting['network']}, {setting['data']}, {epochs} epochs, {setting['words']}"


def _differs(setting: dict[str, Any], study: dict[str, Any]) -> list[str]:
    """Say in which respects `study` is not `setting`, each as "30 epochs instead of 200"."""
    data, recipe = study["data"], study["recipe"]
    differs = []
    if setting.get("kind") != "networks" and not _same_network(setting, study):
        differs.append(f"{study['backbone']} instead of {setting['network']}")
    if not _same_data(setting, study):
        classes = f" of {len(data['classes'])} classes" if _same_name(setting, study) else ""
        differs.append(f"{data['name']}{classes} instead of {setting['data']}")
    if data.get("train_fraction") not in (None, 1):
        differs.append(f"{100 * data['train_fraction']:g} % of the training part instead of all of it")
    if study.get("pretrained"):
        differs.append("pretrained weights instead of random ones")
    size = setting.get("image_size")
    if size is not None and data.get("image_size") != size:
        differs.append(f"images of {data.get('image_size')} pixels instead of {size}")
    for key, theirs in setting["recipe"].items():
        ours, accepted = recipe.get(key), theirs if isinstance(theirs, list) else [theirs]
        if ours is not None and ours not in accepted:
            differs.append(f"{key.replace('_', ' ')} {_listed(ours)} instead of {_listed(accepted[0])}")
    return differs


def _listed(value: Any) -> str:
    return "+".join(value) or "none" if isinstance(value, list) else str(value)


def _same_network(setting: dict[str, Any], study: dict[str, Any]) -> bool:
    """Whether the study's backbone is that network: timm's tag and torchvision's prefix aside."""
    return study["backbone"].removeprefix("torchvision/").partition(".")[0] in setting["backbones"]


def _same_data(setting: dict[str, Any], study: dict[str, Any]) -> bool:
    return _same_name(setting, study) and len(study["data"]["classes"]) == setting["classes"]


def _same_name(setting: dict[str, Any], study: dict[str, Any]) -> bool:
    """Whether the data are called so: "uoft-cs/cifar10", "CIFAR-10" and "cifar10" are one."""
    name = study["data"]["name"].rpartition("/")[2].partition(":")[0].lower()
    return re.sub(r"[^a-z0-9]", "", name) in setting["datasets"]
