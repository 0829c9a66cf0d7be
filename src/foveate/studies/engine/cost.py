"""The cost of a study's candidates, measured side by side and kept in cost.json."""

from pathlib import Path
from typing import Any

from torch import nn

from foveate.data import Data
from foveate.evaluation.cost import count_multiply_adds, count_parameters, time_networks
from foveate.evaluation.noise import Noise, worst_factor
from foveate.evaluation.timing import compare_latencies
from foveate.files import write_json
from foveate.models import set_path
from foveate.records.labels import BASELINE
from foveate.records.study import read_record
from foveate.report.study.latency import noise_of_cost
from foveate.studies.engine.folder import COST
from foveate.studies.engine.network import build_network
from foveate.studies.engine.run import Machine
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import StudySpec

__all__ = ["measure_cost"]


def measure_cost(study: StudySpec, data: Data, out: Path, machine: Machine, watch: Watch) -> None:
    """Parameters, multiply-adds and latency at batch 1 of every candidate, into `out`/cost.json.

    Latencies compare only within one measurement: where any candidate's is not there, all are measured. A
    measurement that the machine disturbed is made again by the next call, and the less disturbed one is kept.
    The parts of a mechanism are all timed by their equations: the whole alone has faster paths.
    """
    shape = (1, data.channels, data.image_size, data.image_size)
    conditions: dict[str, Any] = {
        "backbone": study.backbone,
        "input": list(shape),
        "classes": len(data.classes),
        "device": str(machine.torch_device),
        "path": "reference" if study.design.kind == "ablate" else "auto",
    }
    path = out / COST
    known = _known(path, study, conditions)
    if known is not None and not _noise(known):
        return
    networks = _networks(study, data, conditions["path"])
    rows: dict[str, dict[str, Any]] = {
        label: {"parameters": count_parameters(network), "macs": count_multiply_adds(network, shape)}
        for label, network in networks.items()
    }
    reference = BASELINE if BASELINE in networks else next(iter(networks))
    in_turns = {reference: networks[reference]} | networks
    turns = time_networks(in_turns, shape, device=machine.torch_device, on_round=watch.measuring)
    for label, latency in compare_latencies(turns).items():
        rows[label] |= {
            "latency_ms_p50": latency.p50,
            "latency_ms_p95": latency.p95,
            "latency_ratio": latency.ratio,
            "latency_ratio_ci95": list(latency.interval) if latency.interval else None,
        }
    measured: dict[str, Any] = {
        "conditions": conditions,
        "batch_size": 1,
        "device": conditions["device"],
        "timing": {
            "reference": reference,
            "rounds": turns.milliseconds.shape[1],
            "cpu_share": turns.cpu_share,
        },
        "rows": rows,
    }
    if known is None or worst_factor(_noise(measured)) <= worst_factor(_noise(known)):
        write_json(path, measured)


def _known(path: Path, study: StudySpec, conditions: dict[str, Any]) -> dict[str, Any] | None:
    """What was measured before, if it is of every candidate under the same conditions."""
    if not path.exists():
        return None
    known = read_record(path)
    labels = {candidate.label for candidate in study.attention}
    return known if known["conditions"] == conditions and labels <= set(known["rows"]) else None


def _networks(study: StudySpec, data: Data, path: str) -> dict[str, nn.Module]:
    """The candidates' networks by label, each on the kernel path that it is timed by."""
    networks = {}
    for candidate in study.attention:
        network = build_network(
            study.backbone_of(candidate),
            candidate,
            classes=len(data.classes),
            channels=data.channels,
            image_size=data.image_size,
        )
        if candidate.name != BASELINE:
            set_path(network, path)
        networks[candidate.label] = network
    return networks


def _noise(record: dict[str, Any]) -> list[Noise]:
    return noise_of_cost(record["rows"], record.get("timing", {}))
