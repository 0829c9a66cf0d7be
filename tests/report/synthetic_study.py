"""Writes small study folders with known effects, as `foveate compare` leaves them, without any training."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from foveate.records.run import Epoch, spec_id

DIGITS = [str(digit) for digit in range(10)]
COSTS = {
    "none": (269_722, 40_550_000, 2.11),
    "se": (272_362, 40_560_000, 2.48),
    "cbam": (276_540, 41_100_000, 3.36),
    "dmsca": (299_480, 41_720_000, 4.95),
}
GAINS = {"none": 0.0, "se": 0.004, "cbam": -0.012, "dmsca": 0.021}


def write_study(
    folder: Path,
    *,
    gains: dict[str, float] | None = None,
    seeds: int = 5,
    epochs: int = 12,
    classes: list[str] | None = None,
    noise: float = 0.002,
    failed: tuple[str, int] | None = None,
    unfinished: tuple[str, int] | None = None,
) -> Path:
    """Write a study whose accuracy is 0.95 + the seed's own level + the mechanism's gain + `noise`."""
    gains, classes = gains or GAINS, classes or DIGITS
    rng = np.random.default_rng(7)
    levels = rng.normal(0, 0.006, seeds)
    runs: list[dict[str, Any]] = []
    failures = []
    for label, gain in gains.items():
        for seed in range(seeds):
            run = {"id": spec_id(_spec(label, seed)), "attention": label, "seed": seed}
            runs.append(run)
            accuracy = 0.95 + levels[seed] + gain + rng.normal(0, noise)
            if (label, seed) == failed:
                failures.append(run | {"error": "the loss is NaN at epoch 3 (learning rate 0.1)"})
            elif (label, seed) != unfinished:
                result = _result(run, float(accuracy), epochs, classes, rng)
                write_json(folder / "runs" / run["id"] / "result.json", result)
    study = {
        "format": 1,
        "foveate": "0.1.0",
        "name": "digits-cifar_resnet20",
        "data": {
            "source": "digits",
            "name": "digits",
            "classes": classes,
            "channels": 1,
            "image_size": 8,
            "train": 1294,
            "validation": 143,
            "test": 360,
            "notes": ["The validation part is split off the training part, stratified by class."],
            "fingerprint": "5f0c9a",
        },
        "backbone": "cifar_resnet20",
        "attention": list(gains),
        "seeds": list(range(seeds)),
        "recipe": {"optimizer": "sgd", "learning_rate": 0.1, "epochs": epochs, "batch_size": 64, "ema": None},
        "statistics": {"adjust": "holm", "alpha": 0.05, "power": 0.8},
        "command": f"foveate compare --attention {','.join(gains)} --seeds {seeds}",
        "environment": {
            "foveate": "0.1.0",
            "python": "3.11.7",
            "torch": "2.15.0",
            "platform": "Linux",
            "processor": "AMD EPYC",
            "cores": 2,
            "threads": 1,
            "accelerator": "cpu",
        },
        "runs": runs,
        "failed": failures,
    }
    write_json(folder / "study.json", study)
    write_json(folder / "cost.json", {"rows": {label: _cost(label) for label in gains}, "batch_size": 1})
    return folder


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_json(path: Path, **changes: Any) -> None:
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | changes)


def plan_looks(folder: Path, levels: dict[int, float], *, margin: float, stopped: str | None = None) -> None:
    """Plan the looks at a study; both levels of a look are those of its pairs of runs."""
    plan = {
        "first": min(levels),
        "seeds": list(range(max(levels))),
        "spending": "pocock",
        "alpha": 0.05,
        "comparisons": 3,
        "paths": 1000,
        "simulation_seed": 1,
        "levels": [
            {"pairs": pairs, "different": level, "equivalent": level} for pairs, level in levels.items()
        ],
        "stopped": stopped,
    }
    statistics = {"adjust": "holm", "alpha": 0.05, "power": 0.8, "margin": margin}
    edit_json(folder / "study.json", sequential=plan, statistics=statistics)


def run_record(folder: Path, label: str, seed: int) -> Path:
    """The result.json of one run of a study that was written here."""
    return folder / "runs" / spec_id(_spec(label, seed)) / "result.json"


def epochs_of(*accuracies: float, **extra: Any) -> list[Epoch]:
    """Epochs with these validation accuracies."""
    return [
        Epoch.model_validate(
            {"epoch": n, "validation_loss": 1.0, "validation_accuracy": value, "train_loss": 1.0, **extra}
        )
        for n, value in enumerate(accuracies, start=1)
    ]


def _spec(label: str, seed: int) -> dict[str, Any]:
    return {"attention": {"name": label, "label": label}, "seed": seed}


def _cost(label: str) -> dict[str, Any]:
    parameters, macs, latency = COSTS.get(label, (280_000, 41_000_000, 3.0))
    return {
        "parameters": parameters,
        "macs": macs,
        "latency_ms_p50": latency,
        "latency_ms_p95": 1.2 * latency,
        "latency_ratio": latency / COSTS["none"][2],
    }


def _result(
    run: dict[str, Any], accuracy: float, epochs: int, classes: list[str], rng: np.random.Generator
) -> dict[str, Any]:
    support = 36
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    for row in range(len(classes)):
        mistakes = min(support, int(rng.poisson(support * (1 - accuracy))))
        confusion[row, row] = support - mistakes
        np.add.at(confusion[row], (row + rng.integers(1, len(classes), mistakes)) % len(classes), 1)
    per_class = [
        {
            "class": name,
            "accuracy": confusion[row, row] / support,
            "precision": float(confusion[row, row] / max(confusion[:, row].sum(), 1)),
            "recall": confusion[row, row] / support,
            "f1": confusion[row, row] / support,
            "support": support,
        }
        for row, name in enumerate(classes)
    ]
    curve = [1 - math.exp(-3.2 * epoch / epochs) for epoch in range(1, epochs + 1)]
    wobble = rng.normal(0, 0.006, (4, epochs))
    return {
        "format": 1,
        "foveate": "0.1.0",
        "id": run["id"],
        "spec": _spec(run["attention"], run["seed"]),
        "test": {
            "accuracy": accuracy,
            "loss": 4 * (1 - accuracy),
            "precision": accuracy,
            "recall": accuracy,
            "f1": accuracy - 0.001,
            "ece": 0.4 * (1 - accuracy),
            "per_class": per_class,
            "confusion": confusion.tolist(),
        },
        "best_epoch": epochs,
        "stopped_early": False,
        "seconds": 11.5 + run["seed"],
        "epochs": [
            {
                "epoch": epoch + 1,
                "validation_loss": 2.2 * (1 - reached) + 0.2 + 2 * float(wobble[2, epoch]),
                "validation_accuracy": reached * accuracy + float(wobble[3, epoch]),
                "train_loss": 2.3 * (1 - reached) + 0.05 + float(wobble[0, epoch]),
                "train_accuracy": reached * 0.99 + float(wobble[1, epoch]),
                "learning_rate": 0.1 * (1 - epoch / epochs),
                "seconds": 0.9,
                "images_per_second": 1400.0,
            }
            for epoch, reached in enumerate(curve)
        ],
    }
