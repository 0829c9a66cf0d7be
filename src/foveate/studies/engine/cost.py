"""Measure the cost of a study's candidates side by side, and keep it in cost.json."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from torch import nn

from foveate.data import Data
from foveate.evaluation.cost import cost_row, count_multiply_adds, time_networks
from foveate.evaluation.noise import noise_of_cost, worst_factor
from foveate.evaluation.timing import compare_latencies
from foveate.models import set_path
from foveate.records.cost import CostConditions, CostRecord, Timing
from foveate.records.file_names import COST
from foveate.records.files import read_record, write_record
from foveate.records.labels import BASELINE
from foveate.studies.engine.carrying import executor_machine
from foveate.studies.engine.executors.base import Executor
from foveate.studies.engine.executors.processes import HERE
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.images import open_for
from foveate.studies.engine.network import build_candidate
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import RunSpec, StudySpec

__all__ = ["is_measured", "measure_cost"]


def measure_cost(
    study: StudySpec, data: Data, out: Path, machine: Machine, watch: Watch, executor: Executor = HERE
) -> None:
    """Measure parameters, multiply-adds and latency at batch 1 of every candidate, into `out`/cost.json.

    Latencies compare only within one measurement: if one is missing, all are measured. The next call repeats
    a noisy measurement, and the less noisy one is kept. In an ablation every candidate is timed on the
    reference path, because only the whole mechanism has faster ones. An `executor` of other machines has one
    of them measure.
    """
    conditions = _conditions(study, data, executor.device or str(machine.torch_device))
    path = out / COST
    known = _known(path, study, conditions)
    if _is_quiet(known):
        return
    if executor.device is None:
        measured = _measure(study, data, machine, conditions, watch)
    else:
        given = (
            study.runs(data.fingerprint)[0],
            data.content_fingerprint,
            executor_machine(executor, machine),
            conditions,
        )
        with contextlib.closing(executor.carry_out([study], watch, _make_measurer, *given)) as outcomes:
            measured = next(outcomes)[1]()
    if known is None or worst_factor(noise_of_cost(measured)) <= worst_factor(noise_of_cost(known)):
        write_record(path, measured)


def _make_measurer(
    worker: int, spec: RunSpec, content: str, machine: Machine, conditions: CostConditions
) -> Callable[[StudySpec, Watch], CostRecord]:
    """Open the images in a worker process, and return the function that measures there, without progress."""
    data = open_for(spec, content)
    return lambda study, watch: _measure(study, data, machine, conditions, Watch())


def _measure(
    study: StudySpec, data: Data, machine: Machine, conditions: CostConditions, watch: Watch
) -> CostRecord:
    shape = conditions.input
    networks = _networks(study, data, conditions.path)
    reference = BASELINE if BASELINE in networks else next(iter(networks))
    in_turns = {reference: networks[reference]} | networks
    turns = time_networks(in_turns, shape, device=machine.torch_device, on_round=watch.measuring)
    latencies = compare_latencies(turns)
    return CostRecord(
        conditions=conditions,
        batch_size=1,
        device=conditions.device,
        timing=Timing(reference=reference, rounds=turns.milliseconds.shape[1], cpu_share=turns.cpu_share),
        rows={
            label: cost_row(network, count_multiply_adds(network, shape), latencies[label])
            for label, network in networks.items()
        },
    )


def is_measured(study: StudySpec, data: Data, out: Path, machine: Machine) -> bool:
    """Return whether `out` has costs of all candidates that `measure_cost` would keep."""
    known = _known(out / COST, study, _conditions(study, data, str(machine.torch_device)))
    return _is_quiet(known)


def _is_quiet(known: CostRecord | None) -> bool:
    """Return whether a measurement is there, and was not disturbed."""
    return known is not None and not noise_of_cost(known)


def _conditions(study: StudySpec, data: Data, device: str) -> CostConditions:
    dense = {"dense": study.dense.to_record()} if study.dense else {}
    return CostConditions(
        backbone=study.backbone,
        input=(1, *data.input_shape),
        classes=len(data.classes),
        device=device,
        path="reference" if study.design.kind == "ablate" else "auto",
        **dense,
    )


def _known(path: Path, study: StudySpec, conditions: CostConditions) -> CostRecord | None:
    """Return the earlier measurement if it covers every candidate under the same conditions."""
    if not path.exists():
        return None
    known = read_record(path, CostRecord)
    labels = {candidate.label for candidate in study.attention}
    return known if known.conditions == conditions and labels <= known.rows.keys() else None


def _networks(study: StudySpec, data: Data, kernel_path: str) -> dict[str, nn.Module]:
    """Return the candidates' networks by label, each set to the kernel path that is timed."""
    networks = {}
    for candidate in study.attention:
        network = build_candidate(study, candidate, data)
        if candidate.name != BASELINE:
            set_path(network, kernel_path)
        networks[candidate.label] = network
    return networks
