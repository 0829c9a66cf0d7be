"""Runs as jobs of Slurm, by submitit's executor of this machine."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foveate.errors import RequestError, WorkError
from foveate.studies.engine.executors.need import Need
from foveate.studies.engine.executors.slurm import FOLDER, Slurm
from foveate.studies.engine.executors.submitted import SUBMITTED
from foveate.studies.engine.watch import Watch

pytest.importorskip("submitit")


def make_divider(worker: int, number: int) -> Callable[[int, Watch], int]:
    def divide(task: int, watch: Watch) -> int:
        watch.step(f"task {task}", 1, 1, 1, 1, None)
        time.sleep(1)  # the step is looked for while the job lasts
        if task < 0:
            raise WorkError(f"{task} is negative")
        return number // task

    return divide


class Steps(Watch):
    def __init__(self) -> None:
        self.seen = set[str]()

    def step(self, run: str, *position: Any) -> None:
        self.seen.add(run)


def slurm(limit: int = 2) -> Slurm:
    return Slurm(Need(memory=0.1), limit, 10, None, {}, local=True)


@pytest.mark.slow
def test_jobs_end_with_their_results_and_errors_and_their_steps_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # jobs find the functions of this file
    found, watch = dict[int, Any](), Steps()
    with slurm() as executor:
        executor.check(tmp_path, [])
        with contextlib.closing(executor.carry_out([3, 0, -1], watch, make_divider, 12)) as outcomes:
            for task, outcome in outcomes:
                try:
                    found[task] = outcome()
                except WorkError as error:
                    found[task] = error
    assert found[3] == 4
    assert "ZeroDivisionError" in str(found[0])
    assert str(found[-1]) == "-1 is negative"
    assert watch.seen == {"task 3", "task 0", "task -1"}
    assert not (tmp_path / FOLDER / SUBMITTED).exists()


def test_a_machine_without_slurm_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="sbatch is not found"), Slurm(Need(), None, 10, None, {}):
        pass


def test_what_is_asked_of_slurm() -> None:
    executor = Slurm(Need(cpus=4, gpus=1, memory=16), 8, 120, "gpu", {"account": "lab"})
    assert executor._options() == {
        "timeout_min": 120,
        "cpus_per_task": 4,
        "mem_gb": 16,
        "name": "foveate",
        "gpus_per_node": 1,
        "slurm_partition": "gpu",
        "slurm_array_parallelism": 8,
        "slurm_additional_parameters": {"account": "lab"},
    }


def test_the_processes_of_a_run_on_several_nodes_are_tasks_of_its_job() -> None:
    need = Need(cpus=8, gpus=4, memory=64, nodes=2, processes=4)
    asked = Slurm(need, None, 120, None, {})._options(together=True)
    assert {name: asked[name] for name in ("nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node")} == {
        "nodes": 2,
        "tasks_per_node": 4,
        "cpus_per_task": 2,
        "gpus_per_node": 4,
    }


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_study_of_jobs_is_that_of_processes_also_after_the_command_was_killed(tmp_path: Path) -> None:
    study = [sys.executable, "-m", "foveate.cli", "compare", "--data", "digits", "--backbone"]
    study += ["cifar_resnet8", "--attention", "none,se", "--seeds", "2", "--epochs", "3", "--threads", "1"]
    jobs, alone = tmp_path / "jobs", tmp_path / "alone"
    command = [*study, "--out", str(jobs), "--on", "slurm:local"]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 300
    while not list(jobs.glob("runs/*/last.ckpt")):
        assert killed.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.2)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    subprocess.run([*study, "--out", str(alone)], check=True, capture_output=True, timeout=300)
    assert weights(jobs) == weights(alone)
    assert len(weights(jobs)) == 4


def weights(out: Path) -> dict[str, str]:
    records = [json.loads(path.read_text()) for path in out.glob("runs/*/result.json")]
    return {record["id"]: record["weights_sha256"] for record in records}


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_run_on_several_nodes_is_trained_by_the_tasks_of_a_job(tmp_path: Path) -> None:
    study = [sys.executable, "-m", "foveate.cli", "compare", "--data", "digits", "--backbone"]
    study += ["cifar_resnet8", "--attention", "none,se", "--seeds", "1", "--epochs", "2", "--threads", "1"]
    study += ["--set", "sync_batchnorm=true", "--set", "augmentation="]
    jobs, here = tmp_path / "jobs", tmp_path / "here"
    on_cpu = [*study, "--device", "cpu"]
    several = ["--on", "slurm:local", "--nodes", "2", "--jobs", "1"]
    subprocess.run([*on_cpu, "--out", str(jobs), *several], check=True, capture_output=True, timeout=300)
    subprocess.run(
        [*on_cpu, "--out", str(here), "--devices", "2"], check=True, capture_output=True, timeout=300
    )
    assert weights(jobs) == weights(here)
    assert len(weights(jobs)) == 2
