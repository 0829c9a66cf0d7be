"""Studies whose summaries are kept in golden/; they are written without training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from synthetic_study import edit_json, write_study

CONTRASTS = [
    {"a": "none", "b": "se", "title": "SE", "group": "added one at a time"},
    {"a": "se", "b": "dmsca", "title": "AA", "group": "added one at a time"},
    {"a": "se", "b": "dmsca", "title": "AA", "group": "left out one at a time"},
    {"a": "none", "b": "absent", "title": "absent", "group": "alone"},
]
VALUES = [
    {"option": "reduction", "value": "4", "label": "se"},
    {"option": "reduction", "value": "16", "label": "dmsca"},
    {"option": "reduction", "value": "64", "label": "absent"},
]
TRIALS = [
    {"number": 0, "values": {"reduction": "8"}, "accuracy": 0.5, "epochs": 3, "state": "complete"},
    {"number": 1, "values": {"reduction": "4"}, "accuracy": 0.7, "epochs": 1, "state": "pruned"},
    {"number": 2, "values": {"reduction": "16"}, "accuracy": None, "epochs": 3, "state": "failed"},
]
CONTROL = {"label": "se", "of": "dmsca", "measure": "macs", "asked": 100, "reached": 101}
SEARCH = {"engine": "optuna", "seed": 0, "best": "dmsca", "trials": TRIALS, "importance": {"reduction": 1.0}}


def write_compare(folder: Path) -> Path:
    """All pairs, one of them with a run that failed, another with one that has not finished."""
    return _write(folder, failed=("cbam", 1), unfinished=("se", 2))


def write_ablation(folder: Path) -> Path:
    return _write(folder, kind="ablate", subject="dmsca", contrasts=CONTRASTS)


def write_sweep(folder: Path) -> Path:
    return _write(
        folder, kind="sweep", subject="dmsca", contrasts=CONTRASTS[1:2], values=VALUES, search=SEARCH
    )


def write_control(folder: Path) -> Path:
    return _write(folder, kind="compare", controls=[CONTROL])


def write_networks(folder: Path) -> Path:
    """No baseline, and nothing that was measured of costs."""
    _write(folder, gains={"resnet18": 0.0, "convnext": 0.02}, kind="networks")
    (folder / "cost.json").unlink()
    return folder


GOLDEN: dict[str, tuple[Callable[[Path], Path], str | None]] = {
    "compare": (write_compare, "dmsca-article"),
    "ablation": (write_ablation, "dmsca-article"),
    "sweep": (write_sweep, None),
    "control": (write_control, None),
    "networks": (write_networks, None),
}
"""How the study is written, and the article that its report is set against."""


def _write(
    folder: Path,
    *,
    gains: dict[str, float] | None = None,
    failed: tuple[str, int] | None = None,
    unfinished: tuple[str, int] | None = None,
    **design: Any,
) -> Path:
    write_study(
        folder, gains=gains, seeds=3, classes=["cat", "dog", "owl"], failed=failed, unfinished=unfinished
    )
    if design:
        edit_json(folder / "study.json", design=design)
    timing = {"reference": "none", "rounds": 40, "cpu_share": 0.7}
    edit_json(folder / "cost.json", device="cpu", timing=timing)
    return folder
