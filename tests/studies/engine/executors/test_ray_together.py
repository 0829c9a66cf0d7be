"""One run on two nodes of a Ray cluster, by Ray Train, also when one of its processes is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("ray") is None:  # it is imported only where a cluster is, as settings are read then
    pytest.skip("ray is not installed", allow_module_level=True)

STUDY = (
    *("compare", "--data", "digits", "--backbone", "cifar_resnet8", "--attention", "none,dmsca"),
    *("--seeds", "1", "--threads", "1", "--device", "cpu"),
    *("--set", "sync_batchnorm=true", "--set", "augmentation="),
)
LONGEST = 400.0


@pytest.fixture
def address() -> Iterator[str]:
    """A cluster of a head without CPUs and two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made.address
    made.shutdown()


def start(address: str, out: Path, epochs: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "foveate.cli", *STUDY, "--epochs", str(epochs), "--out", str(out)]
    command += ["--on", "ray", "--memory", "0.5", "--nodes", "2"]
    return subprocess.Popen(
        command,
        env=os.environ | {"RAY_ADDRESS": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def records(out: Path) -> dict[str, Any]:
    return {path.parent.name: json.loads(path.read_text()) for path in out.glob("runs/*/result.json")}


def has_the_weights_of_two_processes(out: Path, here: Path, epochs: int) -> None:
    """Every run has the bits of one on two processes of this machine (one process rounds otherwise)."""
    command = [sys.executable, "-m", "foveate.cli", *STUDY, "--epochs", str(epochs), "--out", str(here)]
    subprocess.run([*command, "--devices", "2"], check=True, capture_output=True, timeout=LONGEST)
    expected, found = records(here), records(out)
    assert len(expected) == 2
    assert {record["environment"]["nodes"] for record in found.values()} == {2}
    assert {name: record["weights_sha256"] for name, record in found.items()} == {
        name: record["weights_sha256"] for name, record in expected.items()
    }


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_run_on_two_nodes_has_the_weights_of_one_on_two_processes(address: str, tmp_path: Path) -> None:
    process = start(address, tmp_path / "nodes", 2)
    said, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, said
    assert "on each of 2 nodes together" in said
    assert not list((tmp_path / "nodes").glob(".ray/*"))
    has_the_weights_of_two_processes(tmp_path / "nodes", tmp_path / "here", 2)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_process_of_a_run_on_two_nodes_is_killed(address: str, tmp_path: Path) -> None:
    out = tmp_path / "nodes"
    process = start(address, out, 3)
    ends = time.monotonic() + LONGEST
    while not list(out.glob("runs/*/last.ckpt")):
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.2)
    os.kill(second_process(), signal.SIGKILL)
    said, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, said
    has_the_weights_of_two_processes(out, tmp_path / "here", 3)


def second_process() -> int:
    """The process that trains with the first, which holds the run."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    return max(int(line.split()[0]) for line in listed.splitlines() if "ray::RayTrainWorker" in line)
