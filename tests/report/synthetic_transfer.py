"""Records of `foveate transfer`, as JSON, without any network."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HOSTILE = "</script><img src=x onerror=alert(1)>"
OWN_KEYS: dict[str, dict[str, Any]] = {
    "direct": {"classes": [[["ant"], ["ants"]]]},
    "probe": {"train_fraction": 1.0},
    "finetune": {"run": "0123456789abcdef"},
    "attached": {"run": "0123456789abcdef"},
}
OWN_VALUES: dict[str, dict[str, Any]] = {
    "direct": {},
    "probe": {"c": 0.01, "validation_accuracy": 0.7, "features": 64, "trained_on": 100},
    "finetune": {"trained_on": 100, "validation_accuracy": 0.7, "best_epoch": 2, "seconds": 1.5},
}
OWN_VALUES["attached"] = OWN_VALUES["finetune"]


def transfer_row(
    way: str,
    label: str,
    seed: int | None,
    accuracy: float,
    *,
    by_class: dict[str, float],
    backbone: str = "resnet18",
    images: int = 40,
) -> dict[str, Any]:
    """Return a row whose scores follow from its accuracy, and the accuracy of each class."""
    key = {"way": way, "label": label, "seed": seed, "backbone": backbone, "network": f"{label}{seed}"}
    key |= {"digest": f"digest of {label}{seed}", "data": "fingerprint", "images": images}
    scores = dict.fromkeys(("accuracy", "precision", "recall", "f1"), accuracy)
    support = images // len(by_class)
    per_class = [
        {"class": name, **dict.fromkeys(scores, value), "support": support}
        for name, value in by_class.items()
    ]
    return {
        "key": key | OWN_KEYS[way],
        "accuracy": accuracy,
        "loss": 1 - accuracy,
        **scores,
        "ece": 0.05,
        "per_class": per_class,
        "chance": 1 / len(by_class),
        "images": images,
        **OWN_VALUES[way],
    }


def transfer_record(
    rows: Sequence[dict[str, Any]], name: str = "insects", /, **changes: Any
) -> dict[str, Any]:
    """Return a record of `rows` on the images called `name`."""
    networks = {row["key"]["network"]: row["key"] for row in rows}
    record = {
        "format": 1,
        "foveate": "0.1.0",
        "kind": f"transfer-{name}",
        "command": "foveate transfer …",
        "environment": {"torch": "2.15"},
        "settings": {
            **{"to": name, "how": ["probe"], "classes": None, "attach": [], "recipe": None, "changes": {}},
            **{"images": None, "train_fraction": 1.0, "seeds": 1, "batch_size": 256},
            **{"image_column": None, "label_column": None},
        },
        "data": {
            **{"name": name, "source": name, "classes": ["ant", HOSTILE], "train": 100, "test": 40},
            **{"fingerprint": "fingerprint", "notes": []},
        },
        "networks": [
            {"name": network, **{field: key[field] for field in ("label", "seed", "backbone")}}
            for network, key in networks.items()
        ],
        "left_out": [],
        "warnings": [],
        "rows": list(rows),
        "kept": [],
    }
    return record | changes


def write_record(folder: Path, **changes: Any) -> Path:
    """Write the record of a probe of plain and SE on three seeds, and return its path."""
    rows = [
        transfer_row("probe", label, seed, accuracy, by_class=dict.fromkeys(("ant", HOSTILE), accuracy))
        for seed in (0, 1, 2)
        for label, gain in (("none", 0.7), ("se", 0.8))
        for accuracy in [gain + seed / 100]
    ]
    said = {"left_out": ["one image is broken."], "warnings": ["the images were enlarged."]}
    path = folder / "transfer-insects.json"
    path.write_text(json.dumps(transfer_record(changes.pop("rows", rows), **said | changes)))
    return path
