"""Take part in one run: what a Ray Train worker, a Slurm task or a process of torchrun calls."""

from dataclasses import replace
from pathlib import Path

from foveate.records.run import RunRecord
from foveate.studies.engine.ddp.meeting import follows, leading
from foveate.studies.engine.ddp.order import Order
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.run import execute
from foveate.studies.spec.study import RunSpec
from foveate.training.fit import OnEpoch, OnStep

__all__ = ["take_part"]


def take_part(
    spec: RunSpec,
    folder: Path,
    machine: Machine,
    *,
    content: str | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> RunRecord | None:
    """Train, test and record one run together with the other processes that call this function.

    A scheduler has started them, `machine.devices` on each of `machine.nodes`. Each opens the images itself.
    A process group that was joined before, as Ray Train does, is used.

    Args:
        spec: the run, for all processes the same.
        folder: its folder, on a file system that all processes see.
        machine: how the run is carried out.
        content: fingerprint of the content of the images; by default that of `spec`.
        on_step: is told of the progress of the first process.
        on_epoch: likewise; an exception that it raises ends the training.

    Returns:
        the record in the first process, None in the others.

    Raises:
        RequestError: no scheduler started the processes, or as many as are needed.
        WorkError: the run failed.
    """
    machine = replace(machine, is_started=True)
    if follows(machine):
        return None
    with leading(machine):
        data = Order(spec, folder, machine, None, content or spec.fingerprint).open_images()
        return execute(spec, data, folder, machine, on_step, on_epoch=on_epoch)
