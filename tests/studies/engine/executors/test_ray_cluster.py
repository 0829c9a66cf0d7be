"""Runs on a Ray cluster: what is refused, and what faults do to a study (slow ones belong to test-all)."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from foveate.errors import RequestError, WorkError
from foveate.studies.engine.executors.need import Need
from foveate.studies.engine.executors.on_ray.cluster import RayCluster, _Places
from foveate.studies.engine.executors.on_ray.nodes import Node, check_nodes, own_versions
from foveate.studies.engine.watch import Watch

if find_spec("ray") is None:  # it is imported only where a cluster is, as settings are read then
    pytest.skip("ray is not installed", allow_module_level=True)
STUDY = (
    *("compare", "--data", "digits", "--backbone", "cifar_resnet8", "--attention", "none,se,eca,cbam"),
    *("--seeds", "2", "--epochs", "3", "--threads", "1"),
)
"""A study of 8 runs, each of some seconds."""
LONGEST = 300.0


class Steps(Watch):
    def __init__(self) -> None:
        self.seen = list[tuple[Any, ...]]()

    def step(self, *position: Any) -> None:
        self.seen.append(position)


def make_divider(worker: int, number: int) -> Callable[[int, Watch], int]:
    def divide(task: int, watch: Watch) -> int:
        watch.step(f"task {task}", 1, 1, 1, 1, None)
        if task < 0:
            raise WorkError(f"{task} is negative")
        return number // task

    return divide


@dataclass(frozen=True)
class Task:
    seed: int


def make_nothing(worker: int) -> Callable[[int, Watch], int]:
    raise RequestError("the images are gone")


@pytest.fixture(scope="module")
def here() -> Iterator[RayCluster]:
    """A Ray of this machine, whose workers find the functions of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
        with RayCluster(None, Need(memory=0.1)) as cluster:
            yield cluster


def outcomes(cluster: RayCluster, tasks: list[int], watch: Watch, *work: Any) -> dict[int, Any]:
    found = dict[int, Any]()
    with contextlib.closing(cluster.carry_out(tasks, watch, *work)) as ended:
        for task, outcome in ended:
            try:
                found[task] = outcome()
            except Exception as error:
                found[task] = error
    return found


@pytest.mark.slow
def test_tasks_end_with_their_results_and_errors_and_their_steps_are_seen(here: RayCluster) -> None:
    watch = Steps()
    found = outcomes(here, [1, 2, 3, 0, -1], watch, make_divider, 12)
    assert {task: found[task] for task in (1, 2, 3)} == {1: 12, 2: 6, 3: 4}
    assert isinstance(found[0], WorkError)
    assert "ZeroDivisionError" in str(found[0])
    assert isinstance(found[-1], WorkError)
    assert str(found[-1]) == "-1 is negative"


@pytest.mark.slow
def test_a_worker_that_cannot_start_says_why_for_each_task(here: RayCluster) -> None:
    found = outcomes(here, [1, 2], Watch(), make_nothing)
    assert [str(error) for error in found.values()] == ["the images are gone"] * 2


@pytest.mark.slow
def test_ray_listens_on_this_machine_alone(here: RayCluster) -> None:
    import ray

    addresses = {node["NodeManagerAddress"] for node in ray.nodes()}
    assert addresses == {"127.0.0.1"}


@pytest.mark.slow
def test_a_folder_that_a_node_does_not_see_is_named(here: RayCluster, tmp_path: Path) -> None:
    here.check(tmp_path, [tmp_path])
    with pytest.raises(RequestError, match="does not see .*missing-images"):
        here.check(tmp_path, [tmp_path / "missing-images"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_more_than_any_node_has_is_refused(here: RayCluster) -> None:
    from foveate.studies.engine.executors.on_ray.nodes import find_nodes

    with pytest.raises(RequestError, match=r"1 CPU, 2 GPUs and 0.1 GiB.* 0 GPUs"):
        find_nodes(Need(gpus=2, memory=0.1))


def test_other_versions_are_refused_by_name() -> None:
    versions = own_versions()
    node = Node("1", "far", "processor", 1, versions | {"torch": "2.6.0"}, ())
    with pytest.raises(RequestError, match=r"torch differs .* far has 2\.6\.0"):
        check_nodes([node], versions)


def test_seeds_are_shared_out_among_kinds_by_their_room_and_stay_together() -> None:
    large, small, other = (digits * 28 for digits in ("a1", "a2", "b1"))  # Ray's ids are 56 hex digits
    nodes = [
        Node(large, "a", "A", 2, {}, ()),
        Node(small, "a", "A", 1, {}, ()),
        Node(other, "b", "B", 1, {}, ()),
    ]
    places = _Places(nodes)
    chosen = [[places.of_task(Task(seed)).node_id for _ in range(3)] for seed in range(8)]
    on_other = [node for seed in chosen for node in seed if node == other]
    assert all(other not in seed or set(seed) == {other} for seed in chosen)
    assert len(on_other) == 3 * 2  # a quarter of the seeds, as of the room
    of_first = [node for seed in chosen for node in seed if node != other]
    assert of_first.count(large) == 2 * of_first.count(small)


def test_an_address_without_an_answer_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        pytest.raises(RequestError, match=f"no Ray cluster answers at ray://127.0.0.1:{port}"),
        RayCluster(f"ray://127.0.0.1:{port}", Need()),
    ):
        pass


# Faults, with a head without CPUs and two nodes of one CPU each.


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every study below has to come to: that of one process."""
    out = tmp_path_factory.mktemp("reference") / "out"
    command = [sys.executable, "-m", "foveate.cli", *STUDY, "--out", str(out), "--jobs", "1"]
    subprocess.run(command, check=True, capture_output=True, timeout=LONGEST)
    return results(out)


def results(out: Path) -> dict[str, Any]:
    """The weights, scores and losses of each run of a study, without what a clock measured."""
    found = {}
    for path in sorted(out.glob("runs/*/result.json")):
        record = json.loads(path.read_text())
        epochs = [(one["train_loss"], one["validation_loss"]) for one in record["epochs"]]
        found[record["id"]] = (record["weights_sha256"], record["test"], epochs)
    return found


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.workers = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    yield made
    made.shutdown()


def start(cluster: Any, out: Path) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "foveate.cli",
        *STUDY,
        "--out",
        str(out),
        "--on",
        "ray",
        "--memory",
        "0.5",
    ]
    return subprocess.Popen(
        command,
        env=os.environ | {"RAY_ADDRESS": cluster.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    ends = time.monotonic() + LONGEST
    while not condition():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < ends
        time.sleep(0.2)


def finished(out: Path) -> int:
    return len(list(out.glob("runs/*/result.json")))


def begun(out: Path) -> int:
    return len(list(out.glob("runs/*/last.ckpt")))


def has_ended_well(process: "subprocess.Popen[str]", out: Path, reference: dict[str, Any]) -> None:
    """Every run ended exactly once, with the same bits."""
    said, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, said
    assert results(out) == reference
    assert sum("test accuracy" in line for line in said.splitlines()) <= len(reference)


def workers_of(cluster: Any) -> list[int]:
    """The processes that carry out runs now."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "ray::_carry_out" in line]


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_node_that_is_lost_and_one_that_is_added(
    cluster: Any, tmp_path: Path, reference: dict[str, Any]
) -> None:
    process = start(cluster, tmp_path)
    wait_for(lambda: finished(tmp_path) >= 2 and len(workers_of(cluster)) == 2, process)
    cluster.remove_node(cluster.workers[0], allow_graceful=False)
    wait_for(lambda: finished(tmp_path) >= 4, process)
    cluster.add_node(num_cpus=1)
    has_ended_well(process, tmp_path, reference)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_command_is_killed_and_given_again(
    cluster: Any, tmp_path: Path, reference: dict[str, Any]
) -> None:
    process = start(cluster, tmp_path)
    wait_for(lambda: finished(tmp_path) >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    has_ended_well(start(cluster, tmp_path), tmp_path, reference)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_worker_process_is_killed(cluster: Any, tmp_path: Path, reference: dict[str, Any]) -> None:
    process = start(cluster, tmp_path)
    wait_for(lambda: finished(tmp_path) >= 1 and len(workers_of(cluster)) == 2, process)
    os.kill(workers_of(cluster)[0], signal.SIGKILL)
    has_ended_well(process, tmp_path, reference)


FILL = """
import os, sys, time
import numpy, ray
ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
kept = []
total = ray.cluster_resources()["object_store_memory"]
for _ in range(int(total / 20e6) + 5):
    kept.append(ray.put(numpy.zeros(20_000_000, numpy.uint8)))
print("full", flush=True)
time.sleep(600)
"""


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_object_store_is_full(tmp_path: Path, reference: dict[str, Any]) -> None:
    from ray.cluster_utils import Cluster

    size = 80 * 2**20
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": size},
    )
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=size)
    made.wait_for_nodes()
    filler = subprocess.Popen(
        [sys.executable, "-c", FILL],
        env=os.environ | {"RAY_ADDRESS": made.address},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert filler.stdout is not None
        assert "full" in filler.stdout.readline()
        has_ended_well(start(made, tmp_path), tmp_path, reference)
    finally:
        filler.kill()
        filler.communicate()
        made.shutdown()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_ctrl_c_ends_the_runs_and_the_command(cluster: Any, tmp_path: Path) -> None:
    process = start(cluster, tmp_path)
    wait_for(lambda: begun(tmp_path) >= 1, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    ends = time.monotonic() + 30
    while workers_of(cluster):
        assert time.monotonic() < ends, "runs go on"
        time.sleep(0.2)
