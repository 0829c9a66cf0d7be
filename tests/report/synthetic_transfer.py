"""A record of `foveate transfer`, without any network: a probe of plain and SE on three seeds."""

import json
from pathlib import Path

HOSTILE = "</script><img src=x onerror=alert(1)>"
SCORES = ("accuracy", "loss", "precision", "recall", "f1", "ece")


def probe_row(label: str, seed: int, accuracy: float) -> dict:
    key = {"way": "probe", "label": label, "seed": seed, "backbone": "resnet18", "network": f"{label}{seed}"}
    per_class = [{"class": name, "accuracy": accuracy} for name in ("ant", HOSTILE)]
    scores = dict.fromkeys(SCORES, accuracy)
    return {"key": key, **scores, "per_class": per_class, "chance": 0.5, "images": 40}


def write_record(folder: Path, **changes: object) -> Path:
    rows = [
        probe_row(label, seed, gain + seed / 100)
        for seed in (0, 1, 2)
        for label, gain in (("none", 0.7), ("se", 0.8))
    ]
    record = {
        **{"format": 1, "foveate": "0.1.0", "kind": "transfer-insects", "command": "foveate transfer …"},
        "environment": {"torch": "2.15"},
        "settings": {"to": "insects"},
        "data": {"name": "insects", "classes": ["ant", HOSTILE]},
        "networks": [row["key"] | {"name": row["key"]["network"]} for row in rows],
        **{"left_out": ["one image is broken."], "warnings": ["the images were enlarged."]},
        **{"rows": rows, "kept": []},
    }
    path = folder / "transfer-insects.json"
    path.write_text(json.dumps(record | changes))
    return path
