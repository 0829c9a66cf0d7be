"""Have the runs of a study carried out by a Ray cluster, each as one task."""

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any

from foveate.errors import WorkError, in_words
from foveate.storage.opening import is_url, place_of
from foveate.studies.engine.executors.base import MakeRunner, Outcome, Result, Run
from foveate.studies.engine.executors.need import GIB, Need
from foveate.studies.engine.executors.on_ray.connection import connect, import_ray
from foveate.studies.engine.executors.on_ray.nodes import (
    Node,
    check_nodes,
    find_nodes,
    inspect_nodes,
    own_versions,
    room_of,
)
from foveate.studies.engine.executors.on_ray.steps import SECONDS_BETWEEN_STEPS, steps_to
from foveate.studies.engine.executors.on_ray.together import carry_out_together
from foveate.studies.engine.executors.runners import failed_run
from foveate.studies.engine.watch import QueuedWatch, Watch

__all__ = ["RayCluster"]

STORAGE = ".ray"
"""Folder in that of the study in which Ray Train writes while a run of several nodes is under way."""
RETRIES = 5
"""Times that a run is begun again after its node or its process was lost."""
IN_FLIGHT = 500
"""Tasks that Ray holds at a time: enough for any cluster here, and few enough to be looked through often."""


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
    """

    def __init__(self, address: str | None, need: Need, limit: int | None = None) -> None:
        self.address, self.need, self.limit = address, need, limit
        self.jobs = 1
        self._nodes: list[Node] = []
        self._storage = ""

    def __enter__(self) -> "RayCluster":
        """Connect, and refuse a cluster that has no room for a run, or other versions.

        Raises:
            RequestError: says what was found, and what to do.
        """
        ray = connect(self.address)
        try:
            if self.need.gpus_optional and not ray.cluster_resources().get("GPU"):
                self.need = replace(self.need, gpus=0)
            nodes = find_nodes(self.need)
            self.jobs = min(room_of(nodes, self.need), self.limit or IN_FLIGHT)
            self._nodes = inspect_nodes(nodes, self.need)
            check_nodes(self._nodes, own_versions())
        except BaseException:
            ray.shutdown()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; a Ray that was started here ends."""
        import_ray().shutdown()

    @property
    def device(self) -> str:
        """The kind of device that a task has."""
        return "cuda" if self.need.gpus else "cpu"

    def check(self, out: Path, paths: Sequence[Path]) -> None:
        """Refuse nodes that do not see the study's folder `out`, or one of `paths`; raises RequestError."""
        self._storage = str((out / STORAGE).absolute())
        token = out / f".seen-{os.getpid()}"  # another folder of the same name does not have it
        is_here = not is_url(place_of(out))
        token.touch()
        try:
            nodes = inspect_nodes(
                find_nodes(self.need),
                self.need,
                [*([token] if is_here else []), *paths],
                None if is_here else place_of(out),
            )
        finally:
            token.unlink()
        check_nodes([node.without(token) for node in nodes], own_versions())

    def carry_out(
        self,
        tasks: Sequence[Run],
        watch: Watch,
        make_runner: MakeRunner[Run, Result],
        *arguments: Any,
        together: bool = False,
    ) -> Generator[tuple[Run, Outcome[Result]]]:
        """Carry out each task as a task of Ray, and yield each as it ends."""
        ray = import_ray()
        submit = self._submitter(make_runner, arguments, together=together)
        at_once = self.jobs if together else self.limit or IN_FLIGHT
        waiting, pending = iter(tasks), dict[Any, Run]()
        with steps_to(watch) as steps:
            try:
                while True:
                    while len(pending) < at_once and (task := next(waiting, None)) is not None:
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
        self, make_runner: MakeRunner[Run, Result], arguments: tuple[Any, ...], *, together: bool
    ) -> Callable[[Run, Any], Any]:
        ray = import_ray()
        need = self.need
        given = ray.put((make_runner, arguments))
        key, here = f"{os.getpid()}-{time.time_ns()}", str(Path.cwd())
        if together:
            function = ray.remote(num_cpus=0, max_retries=RETRIES)(_carry_out_together)
            return lambda task, steps: function.remote(task, key, here, [given], steps, need, self._storage)
        function = ray.remote(
            num_cpus=need.cpus, num_gpus=need.gpus, memory=need.memory * GIB, max_retries=RETRIES
        )(_carry_out)
        places = _Places(self._nodes)

        def submit(task: Run, steps: Any) -> Any:
            one = function
            if len(places.room) > 1:
                one = function.options(scheduling_strategy=places.of_task(task))
            return one.remote(task, key, here, given, steps)

        return submit


class _Places:
    """Gives the tasks of one seed to nodes of one kind, as many seeds to each kind as it has room for."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.room = dict[str, int]()
        ids = dict[str, list[str]]()
        for node in nodes:
            self.room[node.kind] = self.room.get(node.kind, 0) + node.room
            ids.setdefault(node.kind, []).extend([node.id] * node.room)
        self.turns = {kind: cycle(of_kind) for kind, of_kind in ids.items()}
        self.kinds = dict[int, str]()

    def of_task(self, task: Any) -> Any:
        """Return the node for a task: a run, a trial, or something without a seed."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        seed = getattr(getattr(task, "run", task), "seed", 0)
        if seed not in self.kinds:
            given = [*self.kinds.values()]
            self.kinds[seed] = min(self.room, key=lambda kind: (given.count(kind) + 1) / self.room[kind])
        return NodeAffinitySchedulingStrategy(next(self.turns[self.kinds[seed]]), soft=True)


_runners = dict[str, Any]()
"""The runner of this worker process, by the call that it belongs to."""


def _carry_out(task: Any, key: str, folder: str, given: tuple[Any, tuple[Any, ...]], steps: Any) -> Any:
    """Carry out a task in a process of a node.

    A process that carries out several tasks makes its runner once; with a GPU, Ray gives it one task.
    """
    runner = _runners.get(key)
    if runner is None:
        _runners.clear()
        with suppress(OSError):  # it is not there, and then no path is relative to it: `needed_paths`
            os.chdir(folder)
        make_runner, arguments = given
        runner = make_runner(0, *arguments)
        _runners[key] = runner
    sent = -SECONDS_BETWEEN_STEPS

    def put(position: tuple[Any, ...]) -> None:
        nonlocal sent
        if time.monotonic() - sent >= SECONDS_BETWEEN_STEPS:
            sent = time.monotonic()
            steps.put.remote(position)

    return runner(task, QueuedWatch(put))


def _carry_out_together(
    task: Any, key: str, folder: str, given: list[Any], steps: Any, need: Need, storage: str
) -> Any:
    """Carry out a task on several nodes; `given` is in a list, as Ray would fetch it here otherwise."""

    def carry_out() -> Any:
        return _carry_out(task, key, folder, import_ray().get(given[0]), steps)

    return carry_out_together(carry_out, need, storage, RETRIES)


def _result(reference: Any) -> Any:
    ray = import_ray()
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise failed_run(error.cause) from error
    except ray.exceptions.RayError as error:
        raise WorkError(
            f"its process or its node was lost {RETRIES + 1} times, the last time with: {in_words(error)}. "
            "Give the same command again, with a larger --memory if memory was short"
        ) from error
