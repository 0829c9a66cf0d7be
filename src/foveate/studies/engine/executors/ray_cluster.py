"""Have the runs of a study carried out by a Ray cluster, each as one task."""

import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any

from foveate.errors import RequestError, WorkError
from foveate.storage.opening import is_url, place_of
from foveate.studies.engine.environment import available_cores
from foveate.studies.engine.executors.base import MakeRunner, Outcome, Result, Run
from foveate.studies.engine.executors.need import Need
from foveate.studies.engine.executors.ray_nodes import (
    Node,
    check_nodes,
    find_nodes,
    inspect_nodes,
    own_versions,
    room_of,
)
from foveate.studies.engine.executors.runners import start_runner
from foveate.studies.engine.watch import QueuedWatch, Watch

__all__ = ["RayCluster"]

RETRIES = 5
"""Times that a run is begun again after its node or its process was lost."""
IN_FLIGHT = 500
"""Tasks that Ray holds at a time: enough for any cluster here, and few enough to be looked through often."""
SECONDS_TO_CONNECT = 5.0
SECONDS_BETWEEN_STEPS = 1.0
"""Between two reports of the steps of a run."""
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes a Ray that is started here listen on 127.0.0.1 alone, as it does on other systems than Linux."""


class RayCluster:
    """A Ray cluster, connected while this object is used as a context manager.

    A task whose process or node is lost is begun again elsewhere, and resumes from its last checkpoint. All
    runs of a seed are given to nodes of one kind, where there are several kinds, because bits differ between
    kinds; if these nodes are lost, they go elsewhere.

    Args:
        address: `ray://HOST:PORT` of a cluster. None is the cluster that RAY_ADDRESS names, or else a Ray of
            this machine alone, which is started here, listens on 127.0.0.1 and ends with this object.
        need: what is kept for each run.
        limit: the most runs at a time; None is what the cluster has room for.
        gpus_optional: whether runs do without GPUs where the cluster has none.
    """

    jobs_here = 1

    def __init__(
        self, address: str | None, need: Need, limit: int | None = None, *, gpus_optional: bool = False
    ) -> None:
        self.address, self.need, self.limit = address, need, limit
        self.jobs, self.gpus_optional = 1, gpus_optional
        self._nodes: list[Node] = []

    def __enter__(self) -> "RayCluster":
        """Connect, and refuse a cluster that has no room for a run, or other versions.

        Raises:
            RequestError: says what was found, and what to do.
        """
        there = self.address or os.environ.get("RAY_ADDRESS")
        if there is None:
            os.environ |= LOOPBACK  # read when ray is imported
        ray = _import_ray()
        _connect(ray, there)
        try:
            if self.gpus_optional and not ray.cluster_resources().get("GPU"):
                self.need = replace(self.need, gpus=0)
            nodes = find_nodes(self.need)
            self.jobs = min(room_of(nodes, self.need), self.limit or IN_FLIGHT)
            self._nodes = inspect_nodes(nodes)
            check_nodes(self._nodes, own_versions())
        except BaseException:
            ray.shutdown()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; a Ray that was started here ends."""
        _import_ray().shutdown()

    @property
    def device(self) -> str:
        """The kind of device that a task has."""
        return "cuda" if self.need.gpus else "cpu"

    def check(self, out: Path, folders: Sequence[Path]) -> None:
        """Refuse nodes that do not see the study's folder `out`, or one of `folders`; raises RequestError."""
        token = out / f".seen-{os.getpid()}"  # another folder of the same name does not have it
        asked = [*folders] if is_url(place_of(out)) else [token, *folders]  # each node has a copy of a URL
        token.touch()
        try:
            nodes = inspect_nodes(find_nodes(self.need), asked)
        finally:
            token.unlink()
        named = [[one.removesuffix(f"/{token.name}") for one in node.missing] for node in nodes]
        check_nodes(
            [replace(node, missing=tuple(names)) for node, names in zip(nodes, named, strict=True)],
            own_versions(),
        )

    def carry_out(
        self, tasks: Sequence[Run], watch: Watch, make_runner: MakeRunner[Run, Result], *arguments: Any
    ) -> Generator[tuple[Run, Outcome[Result]]]:
        """Carry out each task as a task of Ray, and yield each as it ends."""
        ray = _import_ray()
        submit = self._submitter(make_runner, arguments)
        waiting, pending = iter(tasks), dict[Any, Run]()
        with _steps(watch) as steps:
            try:
                while True:
                    while (
                        len(pending) < (self.limit or IN_FLIGHT) and (task := next(waiting, None)) is not None
                    ):
                        pending[submit(task, steps)] = task
                    if not pending:
                        return
                    ended, _ = ray.wait([*pending], num_returns=1)
                    for reference in ended:
                        yield pending.pop(reference), partial(_result, reference)
            finally:
                for reference in pending:
                    with suppress(Exception):  # what has ended cannot be cancelled
                        ray.cancel(reference, force=True)

    def _submitter(
        self, make_runner: MakeRunner[Run, Result], arguments: tuple[Any, ...]
    ) -> Callable[[Run, Any], Any]:
        ray = _import_ray()
        need = self.need
        function = ray.remote(
            num_cpus=need.cpus, num_gpus=need.gpus, memory=need.memory * 2**30, max_retries=RETRIES
        )(_carry_out)
        given = ray.put((make_runner, arguments))
        key, here = f"{os.getpid()}-{time.time_ns()}", str(Path.cwd())
        places = _places_by_kind(self._nodes)

        def submit(task: Run, steps: Any) -> Any:
            one = function
            if len(places) > 1:
                one = function.options(scheduling_strategy=_place(places, task))
            return one.remote(task, key, here, given, steps)

        return submit


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise RequestError("--on ray needs: pip install 'foveate[ray]'") from error
    return ray


def _connect(ray: Any, there: str | None) -> None:
    """Connect to the cluster at `there`, or to a Ray that is started here."""
    import logging

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if there is None:
        _start_here(partial(ray.init, "local", num_cpus=available_cores(), include_dashboard=False, **quiet))
        return
    _refuse_silent(there)
    try:
        ray.init(address=there, **quiet)
    except Exception as error:  # of many types, those of gRPC among them
        raise RequestError(
            f"the Ray cluster at {there} cannot be used: {type(error).__name__}: {str(error).strip()}"
        ) from error


def _start_here(start: Callable[[], object]) -> None:
    """Start a Ray of this machine; it gives up after 30 s, which is too early on a busy machine."""
    for last in (False, True):
        try:
            start()
        except Exception as error:  # of no type of its own
            if last:
                raise WorkError(
                    f"Ray could not be started on this machine ({error}): give the same command again when "
                    "it is less busy, or without --on"
                ) from error
        else:
            return


def _refuse_silent(address: str) -> None:
    """Raise RequestError if nothing answers at HOST:PORT; Ray would try for half a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        if address in ("auto", "local"):
            return
        raise RequestError(f"--on ray://{host or port}: expected a host and a port, as in ray://head:10001")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise RequestError(
            f"no Ray cluster answers at {address} ({error}): start one with `ray start --head` (clients use "
            "port 10001), or leave out the address to use this machine alone"
        ) from error


def _places_by_kind(nodes: Sequence[Node]) -> dict[str, Iterator[str]]:
    """Return the ids of the nodes of each kind, to be used in turn."""
    kinds = dict[str, list[str]]()
    for node in nodes:
        kinds.setdefault(node.kind, []).append(node.id)
    return {kind: cycle(ids) for kind, ids in kinds.items()}


def _place(places: dict[str, Iterator[str]], task: object) -> Any:
    """Return where `task` should go: every task of one seed to one kind of machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    seed = getattr(task, "seed", 0)
    kind = list(places)[seed % len(places)]
    return NodeAffinitySchedulingStrategy(next(places[kind]), soft=True)


_runners = dict[str, Any]()
"""The runner of this worker process, by the call that it belongs to."""


def _carry_out(task: Any, key: str, folder: str, given: tuple[Any, tuple[Any, ...]], steps: Any) -> Any:
    """Carry out a task in a process of a node; its runner is made once in each process."""
    if key not in _runners:
        _runners.clear()
        with suppress(OSError):  # a folder that this node does not have: paths of this study are absolute
            os.chdir(folder)
        make_runner, arguments = given
        _runners[key] = start_runner(make_runner, 0, *arguments)
    sent = -SECONDS_BETWEEN_STEPS

    def put(position: tuple[Any, ...]) -> None:
        nonlocal sent
        if time.monotonic() - sent >= SECONDS_BETWEEN_STEPS:
            sent = time.monotonic()
            steps.put.remote(position)

    return _runners[key](task, QueuedWatch(put))


def _result(reference: Any) -> Any:
    ray = _import_ray()
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (RequestError, WorkError)):
            raise error.cause from error
        raise WorkError(f"{type(error.cause).__name__}: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise WorkError(
            f"its process or its node was lost {RETRIES + 1} times, the last time with: {_first(error)}. "
            "Give the same command again, with a larger --memory if memory was short"
        ) from error


def _first(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


class _Steps:
    """Holds the latest step of each run, for the process that shows them; an actor."""

    def __init__(self) -> None:
        self.latest = dict[Any, tuple[Any, ...]]()

    def put(self, position: tuple[Any, ...]) -> None:
        """Keep the step of a run; its title is the first item."""
        self.latest[position[0]] = position

    def take(self) -> list[tuple[Any, ...]]:
        """Return what came since the last call."""
        taken, self.latest = self.latest, {}
        return list(taken.values())


@contextmanager
def _steps(watch: Watch) -> Iterator[Any]:
    """Yield the actor to which workers send their steps, which are passed on to `watch` once a second."""
    ray = _import_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    near = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor = ray.remote(num_cpus=0, max_restarts=-1)(_Steps).options(scheduling_strategy=near).remote()
    ended = threading.Event()

    def pass_on() -> None:
        while not ended.wait(SECONDS_BETWEEN_STEPS):
            with suppress(ray.exceptions.RayError):  # its node was lost: it starts again elsewhere
                for position in ray.get(actor.take.remote(), timeout=10):
                    watch.step(*position)

    listener = threading.Thread(target=pass_on, daemon=True)
    listener.start()
    try:
        yield actor
    finally:
        ended.set()
        listener.join()
        ray.kill(actor)
