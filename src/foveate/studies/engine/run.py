"""One run: train a network with one seed, test it once, and write its record."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from foveate.data import Data, make_loader
from foveate.files import file_sha256, write_json
from foveate.models.checkpoint.save_load import WEIGHTS, save
from foveate.records.base import FORMAT
from foveate.records.file_names import RESULT
from foveate.records.run import RunData, RunRecord
from foveate.studies.engine.ddp.order import Order
from foveate.studies.engine.ddp.together import fit_together
from foveate.studies.engine.ddp.used_devices import describe_machine
from foveate.studies.engine.fitting import Machine, Parts, fit_run, make_steps, parts_of
from foveate.studies.engine.folder import find_result
from foveate.studies.engine.holding import HeldRun, hold_run_folder
from foveate.studies.engine.start import as_weights_expect
from foveate.studies.spec.study import RunSpec
from foveate.tasks import find_task
from foveate.training.fit import Fitted, OnEpoch, OnStep
from foveate.training.keeping import CHECKPOINT
from foveate.version import __version__

__all__ = ["AUTOCAST", "execute", "train"]

AUTOCAST = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def execute(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    on_step: OnStep | None = None,
    start: Callable[[], nn.Module] | None = None,
    *,
    on_epoch: OnEpoch | None = None,
    parts: Parts | None = None,
) -> RunRecord:
    """Train, test and record one run, and return its record; of a finished run, only read the record.

    `start` builds the network to start from; by default the spec's network, with random weights or with those
    that the spec names. `parts` are the images of the run, by default those of `parts_of`.

    Raises:
        WorkError: the run failed; error.txt has the traceback of an unexpected error.
    """
    with hold_run_folder(folder, machine.torch_device) as held:
        known = find_result(folder, spec.id, find_task(spec.task).record)
        return known or _execute(
            spec, data, held, machine, on_step, start, on_epoch, parts or parts_of(spec, data)
        )


def train(
    spec: RunSpec,
    data: Data,
    folder: Path,
    machine: Machine,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
    start: Callable[[], nn.Module] | None = None,
    parts: Parts | None = None,
) -> tuple[nn.Module, Fitted]:
    """Build a run's network and train it; the weights are chosen on the validation part alone.

    `start` and `parts` are those of `execute`.
    """
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    if machine.processes == 1:
        return fit_run(spec, data, folder, machine, parts, start=start, on_step=on_step, on_epoch=on_epoch)
    assert start is None, "several processes build the network of the spec, each for itself"
    order = Order(spec, folder, machine, parts, data.content_fingerprint)
    return fit_together(order, data, on_step=on_step, on_epoch=on_epoch)


def _execute(
    spec: RunSpec,
    data: Data,
    held: HeldRun,
    machine: Machine,
    on_step: OnStep | None,
    start: Callable[[], nn.Module] | None,
    on_epoch: OnEpoch | None,
    parts: Parts,
) -> RunRecord:
    data, folder = as_weights_expect(data, spec.weights), held.folder
    network, fitted = train(spec, data, folder, machine, held.stopping(on_step), on_epoch, start, parts)
    recipe, device = spec.recipe, machine.torch_device
    tested = (
        make_steps(spec.task, recipe, data)
        .to(device)
        .test(
            network,
            make_loader(
                data.test,
                parts.test,
                recipe.batch_size,
                shuffle_seed=None,
                workers=machine.workers,
                device=device,
            ),
            device=device,
            autocast=AUTOCAST[recipe.precision],
        )
    )
    held.check()
    _write_weights(folder, network, data)
    tested.keep(folder, spec.id)
    images = RunData(train=len(parts.training), validation=len(parts.validation), test=tested.images)
    record = RunRecord(
        format=FORMAT,
        foveate=__version__,
        id=spec.id,
        spec=spec.to_record(),
        data=images.model_copy(update={"greys": data.greys}) if data.greys else images,
        test=tested.scores,
        best_epoch=fitted.chosen_epoch,
        stopped_early=fitted.stopped_early,
        seconds=round(sum(epoch.seconds or 0 for epoch in fitted.epochs), 3),
        epochs=fitted.epochs,
        environment=describe_machine(machine, recipe),
        weights_sha256=file_sha256(folder / WEIGHTS[0]),
    )
    held.publish(RESULT, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return record


def _write_weights(folder: Path, network: nn.Module, data: Data) -> None:
    """Write the tested weights with all that is needed to use them: network, classes, preprocessing."""
    save(
        network,
        folder / WEIGHTS[0],
        classes=data.classes,
        preprocessing={
            "input_size": list(data.input_shape),
            "mean": list(data.mean),
            "std": list(data.std),
            # timm resizes to floor(size / crop_pct), which must equal the canvas.
            "crop_pct": math.nextafter(data.image_size / data.canvas, 0),
            "crop_mode": "center",
            "interpolation": "bilinear",
        },
    )
