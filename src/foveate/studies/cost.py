"""The cost of a study's candidates, measured side by side before the runs and kept in cost.json."""

from pathlib import Path
from typing import Any

from foveate.data import Data
from foveate.evaluation.cost import count_multiply_adds, count_parameters, measure_latencies
from foveate.files import write_json
from foveate.models import set_path
from foveate.report.records import PLAIN, read_record
from foveate.studies.network import build_network
from foveate.studies.record import COST
from foveate.studies.run import Machine
from foveate.studies.spec import StudySpec
from foveate.studies.watch import Watch

__all__ = ["measure_cost"]


def measure_cost(study: StudySpec, data: Data, out: Path, machine: Machine, watch: Watch) -> None:
    """Parameters, multiply-adds and latency at batch 1 of every candidate, into `out`/cost.json.

    Latencies compare only within one measurement: where any candidate's is not there, all are measured. The
    parts of a mechanism are all timed by their equations: the whole alone has faster paths.
    """
    shape = (1, data.channels, data.image_size, data.image_size)
    labels = [candidate.label for candidate in study.attention]
    conditions: dict[str, Any] = {
        "backbone": study.backbone,
        "input": list(shape),
        "classes": len(data.classes),
        "device": str(machine.torch_device),
        "path": "reference" if study.design.kind == "ablate" else "auto",
    }
    path = out / COST
    if path.exists():
        known = read_record(path)
        if known.get("conditions") == conditions and set(labels) <= set(known["rows"]):
            return
    networks = {
        candidate.label: build_network(
            study.backbone_of(candidate),
            candidate,
            classes=len(data.classes),
            channels=data.channels,
            image_size=data.image_size,
        )
        for candidate in study.attention
    }
    for candidate in study.attention:
        if candidate.name != PLAIN:
            set_path(networks[candidate.label], conditions["path"])
    rows: dict[str, dict[str, float]] = {
        label: {"parameters": count_parameters(network), "macs": count_multiply_adds(network, shape)}
        for label, network in networks.items()
    }
    latencies = measure_latencies(networks, shape, device=machine.torch_device, on_round=watch.measuring)
    for label, latency in latencies.items():
        rows[label] |= {"latency_ms_p50": latency["p50"], "latency_ms_p95": latency["p95"]}
        rows[label] |= {"latency_ratio": latency["ratio"]}
    write_json(
        path, {"conditions": conditions, "batch_size": 1, "device": conditions["device"], "rows": rows}
    )
