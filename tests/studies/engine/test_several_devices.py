"""Runs that two processes of the CPU train together, compared with the same run in one process."""

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dense_sets import boxes_set, masks_set
from foveate.data import Data
from foveate.errors import ImagesChangedError, RequestError, WorkError
from foveate.records.environment import Environment
from foveate.records.run import RunRecord
from foveate.report.study.devices import device_sentences
from foveate.studies.engine.ddp.group import store_on_loopback
from foveate.studies.engine.ddp.order import Order
from foveate.studies.engine.ddp.ranks import Rank, find_rank
from foveate.studies.engine.ddp.used_devices import check_shares
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.images import open_study
from foveate.studies.engine.machine import MachineSettings
from foveate.studies.engine.run import execute
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import RunSpec, StudySpec

TOLERANCE = 1e-5
"""Relative; what was seen is below 2e-7. A sum of two halves is rounded elsewhere than one of the whole."""
RECIPE = {"epochs": 3, "batch_size": 16, "augmentation": (), "learning_rate": 0.02}


def study_of(data: Path, recipe: dict[str, Any] | None = None, **settings: Any) -> StudySpec:
    settings = {"data": str(data), "backbone": "cifar_resnet8", "attention": "none", "seeds": 1} | settings
    return make_study(settings, RECIPE | (recipe or {}))


def opened(study: StudySpec, out: Path, machine: Machine) -> tuple[RunSpec, Data]:
    data = open_study(study, out, machine, Watch())
    return study.runs(data.fingerprint)[0], data


def trained(study: StudySpec, out: Path, devices: int, **calls: Any) -> RunRecord:
    machine = Machine("cpu", threads=1, devices=devices)
    run, data = opened(study, out, machine)
    return execute(run, data, out / run.id, machine, **calls)


def rows(record: RunRecord) -> list[tuple[float | None, ...]]:
    return [(one.train_loss, one.validation_loss, one.validation_accuracy) for one in record.epochs]


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(
    ("attention", "recipe"),
    [
        ("none", {"optimizer": "adamw", "learning_rate": 0.002, "ema_decay": 0.9, "clip_grad_norm": 1.0}),
        ("dmsca", {}),
        ("bam", {}),
    ],
)
def test_two_processes_train_as_one_with_the_whole_batch(
    bands: Path, tmp_path: Path, attention: str, recipe: dict[str, Any]
) -> None:
    study = study_of(bands, {"sync_batchnorm": True, **recipe}, attention=attention)
    one, two = (trained(study, tmp_path / str(count), count) for count in (1, 2))
    for alone, together in zip(rows(one), rows(two), strict=True):
        assert together == pytest.approx(alone, rel=TOLERANCE)
    assert two.test.loss == pytest.approx(one.test.loss, rel=TOLERANCE)
    assert one.id == two.id
    assert one.environment.to_json().keys() & {"devices", "images_per_device"} == set()
    said = two.environment
    assert (said.devices, said.nodes, said.images_per_device, said.images_per_step) == (2, 1, 8, 16)


def kill_all(epoch: int, value: float) -> None:
    """Stand for a machine that kills the first process after its second epoch, and note the others."""
    if epoch == 2:
        print(*(process.pid for process in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def train_and_be_killed(bands: str, out: str) -> None:
    trained(study_of(Path(bands)), Path(out), 2, on_epoch=kill_all)


@pytest.mark.full
@pytest.mark.slow
def test_a_killed_run_ends_all_its_processes_and_resumes(
    bands: Path, tmp_path: Path, forked_workers: None
) -> None:
    code = "import sys, test_several_devices as t; t.train_and_be_killed(*sys.argv[1:])"
    killed = subprocess.run(
        [sys.executable, "-c", code, str(bands), str(tmp_path / "killed")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (peer,) = map(int, killed.stdout.split())
    deadline = time.monotonic() + 60
    while is_running(peer):
        assert time.monotonic() < deadline
    resumed, whole = (trained(study_of(bands), tmp_path / name, 2) for name in ("killed", "whole"))
    assert rows(resumed) == rows(whole)
    assert resumed.weights_sha256 == whole.weights_sha256


def is_running(process: int) -> bool:
    """Whether a process exists that is no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def kill_others(*_: Any) -> None:
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, signal.SIGKILL)


@pytest.mark.usefixtures("forked_workers")
def test_a_process_that_dies_ends_the_run_with_a_sentence(bands: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="process 2 of the 2 that trained this run ended without a message"):
        trained(study_of(bands), tmp_path, 2, on_epoch=kill_others)
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("forked_workers")
def test_a_process_finds_that_the_images_were_changed(bands: Path, tmp_path: Path) -> None:
    images = shutil.copytree(bands, tmp_path / "images")
    machine = Machine("cpu", threads=1, devices=2)
    run, data = opened(study_of(images), tmp_path, machine)
    shutil.copy(images / "train" / "high" / "0.png", images / "train" / "low" / "0.png")
    with pytest.raises(ImagesChangedError, match="no longer those that the study was started with"):
        execute(run, data, tmp_path / run.id, machine)


UNUSED = """
import torch
from torch import nn

class Unused(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale, self.idle = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.scale
"""


@pytest.mark.usefixtures("forked_workers")
def test_a_parameter_without_a_gradient_is_named(
    bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(UNUSED)
    with pytest.raises(WorkError, match=r"parameters get no gradient in a training step \(.*attention\.idle"):
        trained(study_of(bands, attention="mine.py:Unused"), tmp_path, 2)


@pytest.mark.full
@pytest.mark.usefixtures("forked_workers")
def test_segmenters_train_together(tmp_path: Path) -> None:
    images = masks_set(tmp_path / "images")
    settings = {"task": "segmentation", "segmenter": "unet", "backbone": "resnet18", "image_size": 64}
    recipe = {"sync_batchnorm": True, "batch_size": 8, "epochs": 1, "learning_rate": 0.001}
    study = study_of(images, recipe, **settings)
    one, two = (trained(study, tmp_path / str(count), count) for count in (1, 2))
    # A U-Net has no dropout, which would draw other numbers in each process, and every pixel of these masks
    # is labelled, so that the mean of the devices' means is that over all pixels.
    assert two.epochs[0].train_loss == pytest.approx(one.epochs[0].train_loss, rel=1e-4)
    assert two.epochs[0].validation_miou == pytest.approx(one.epochs[0].validation_miou, abs=0.01)


@pytest.mark.full
@pytest.mark.usefixtures("forked_workers")
def test_detectors_train_together(tmp_path: Path) -> None:
    images = boxes_set(tmp_path / "images")
    settings = {"task": "detection", "detector": "fcos(size=small)", "backbone": "resnet18"}
    study = study_of(images, {"batch_size": 4, "epochs": 1, "learning_rate": 0.001}, **settings)
    record = trained(study, tmp_path / "out", 2)
    assert record.epochs[0].validation_map is not None
    assert record.test.map is not None


TAKES_PART = """
import sys
from pathlib import Path
import test_several_devices as t
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.ddp.taking_part import take_part

bands, out = map(Path, sys.argv[1:])
machine = Machine("cpu", threads=1, devices=2)
run, _ = t.opened(t.study_of(bands, {"sync_batchnorm": True}), out, machine)
record = take_part(run, out / run.id, machine)
print(record is None)
"""


@pytest.mark.full
def test_processes_of_a_scheduler_take_part(bands: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TAKES_PART, str(bands), str(tmp_path / "together")],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(sys.path), "RANK": rank, "LOCAL_RANK": rank}
            | meet,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    assert [process.communicate()[0].strip() for process in started] == ["False", "True"]
    study = study_of(bands, {"sync_batchnorm": True})
    alone, together = trained(study, tmp_path / "alone", 1), trained(study, tmp_path / "together", 2)
    for expected, found in zip(rows(alone), rows(together), strict=True):
        assert found == pytest.approx(expected, rel=TOLERANCE)


def test_a_batch_is_divided_evenly() -> None:
    with pytest.raises(RequestError, match="batch_size 33 .* give --batch-size 32 or 34"):
        check_shares(33, 10, Machine("cpu", devices=2))
    with pytest.raises(RequestError, match="batch_size 2 .* give --batch-size 4,"):
        check_shares(2, 10, Machine("cpu", devices=2, nodes=2))
    with pytest.raises(RequestError, match="the validation part has 3 images"):
        check_shares(32, 3, Machine("cpu", devices=4))


def test_several_nodes_need_a_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RequestError, match="no scheduler started this process"):
        MachineSettings(devices=2, nodes=2, threads=1).check()
    started = {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NTASKS": "4"}
    assert find_rank(2, 2, started) == Rank(rank=3, local_rank=1)
    with pytest.raises(RequestError, match="started 2 or more processes on this machine"):
        find_rank(1, 4, started)
    with pytest.raises(RequestError, match="need 6 processes, one a device, and the scheduler started 4"):
        find_rank(3, 2, started)


def test_an_order_is_the_same_as_text(bands: Path, tmp_path: Path) -> None:
    machine = Machine("cpu", threads=1, devices=2)
    run, data = opened(study_of(bands), tmp_path, machine)
    order = Order(run, tmp_path, machine, None, data.content_fingerprint)
    assert Order.from_text(order.to_text()) == order


def test_a_report_says_how_runs_were_divided() -> None:
    one = Environment()
    four = Environment(devices=2, nodes=2, images_per_device=16, images_per_step=64, learning_rate=0.1)
    assert device_sentences([one, one]) == ()
    (divided,) = device_sentences([four, four])
    assert "2 devices on each of 2 nodes together: 64 images a step, 16 on each device" in divided
    assert "(2 runs on 1 device, 1 run on 4 devices)" in device_sentences([one, four, one])[1]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="Linux tells who listens")
def test_the_processes_of_one_machine_meet_on_the_loopback_alone() -> None:
    store = store_on_loopback()
    port = f"{store.port:04X}"
    tables = [Path(f"/proc/net/{name}").read_text().split("\n")[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table if line]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port}")]
    assert listening == [f"0100007F:{port}"]
    store.set("a", "b")
    assert store.get("a") == b"b"
