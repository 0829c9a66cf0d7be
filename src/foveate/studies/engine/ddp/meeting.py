"""Train runs in processes that a scheduler started, on one machine or several: srun, torchrun or Ray Train.

The first process carries out the study. The others wait for its runs, train each together with it, and write
nothing.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache

import torch
from torch import distributed

from foveate.data import Data
from foveate.errors import NotFiniteError, WorkError, first_line, in_words
from foveate.studies.engine.ddp.group import LOOPBACK, TIMEOUT, store_on_loopback
from foveate.studies.engine.ddp.order import Order
from foveate.studies.engine.ddp.ranks import find_rank
from foveate.studies.engine.fitting import Machine
from foveate.tasks.processes import Processes

__all__ = ["Meeting", "follows", "leading", "meeting"]

FOR_EVER = timedelta(days=365)
"""The others wait while the first tests, measures and reports. They end when it ends, and
the store with it."""

COMPLAINT = "complaint"
SECONDS_TO_SPEAK = timedelta(seconds=10)
"""How long the first process waits, after an error, for another that had one."""


class Meeting:
    """The store at which the processes meet, and the number of the next run.

    Attributes:
        processes: the place of this process.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.store = distributed.PrefixStore("foveate", _store(processes))
        self.number = 0

    def announce(self, order: Order) -> distributed.Store:
        """Tell the others of the next run, and return the store at which all meet for it."""
        return self._next(order.to_text())

    def end(self) -> None:
        """Tell the others that there is no further run."""
        self._next("")

    def wait(self) -> tuple[Order, distributed.Store] | None:
        """Wait for the next run; None if there is none."""
        key = f"order {self.number}"
        try:
            self.store.wait([key], FOR_EVER)
            text = self.store.get(key).decode()
        except RuntimeError as error:
            raise WorkError(f"the first process has ended ({first_line(error)})") from error
        store = self._of_run()
        return (Order.from_text(text).of_peer(), store) if text else None

    def complain(self, store: distributed.Store, error: Exception) -> None:
        """Say, at the store of a run, why this process has left it."""
        sentence = f"process {self.processes.rank + 1}: {_in_words(error)}"
        print(f"foveate: {sentence}", file=sys.stderr)
        is_finite = not isinstance(error, NotFiniteError)
        with suppress(RuntimeError):  # the first process has ended
            store.set(COMPLAINT, json.dumps([sentence, is_finite]))

    def why(self, store: distributed.Store, error: Exception) -> WorkError:
        """Return `error` with what another process says that left the run."""
        try:
            store.wait([COMPLAINT], SECONDS_TO_SPEAK)
            said, is_finite = json.loads(store.get(COMPLAINT))
        except RuntimeError:  # none does
            return WorkError(_in_words(error))
        kind = WorkError if is_finite else NotFiniteError
        return kind(f"{_in_words(error)}; {said}")

    def _next(self, text: str) -> distributed.Store:
        self.store.set(f"order {self.number}", text)
        return self._of_run()

    def _of_run(self) -> distributed.Store:
        store = distributed.PrefixStore(f"run {self.number}", self.store)
        self.number += 1
        return store


def _in_words(error: Exception) -> str:
    return first_line(error) if isinstance(error, WorkError) else in_words(error)


@cache
def meeting(devices: int, nodes: int, *, placed: bool) -> Meeting:
    """Return the meeting of the processes of this program, which has one; `placed` as for `find_rank`.

    Raises:
        RequestError: no scheduler started them, or as many as are needed.
    """
    found = find_rank(devices, nodes, placed=placed)
    return Meeting(Processes(found.rank, found.local_rank, devices, nodes))


def _store(processes: Processes) -> distributed.Store:
    """Return the store at the address of the first process, which the scheduler's variables say."""
    if distributed.is_initialized():  # as in Ray Train; its own store has taken the port
        return _store_of_group(processes)
    if "MASTER_ADDR" not in os.environ or "MASTER_PORT" not in os.environ:
        from lightning.fabric.plugins.environments import SLURMEnvironment

        slurm = SLURMEnvironment(auto_requeue=False)
        address, port = slurm.main_address, slurm.main_port
    else:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    has_store = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # torchrun keeps one at the address
    is_master = processes.is_first and not has_store
    if is_master and address in (LOOPBACK, "localhost"):
        return store_on_loopback(port)
    return distributed.TCPStore(address, port, is_master=is_master, wait_for_workers=False, timeout=TIMEOUT)


def _store_of_group(processes: Processes) -> distributed.Store:
    address, found = os.environ["MASTER_ADDR"], [0]
    if processes.is_first:
        store = distributed.TCPStore(address, 0, is_master=True, wait_for_workers=False, timeout=TIMEOUT)
        distributed.broadcast_object_list([store.port], 0)
        return store
    distributed.broadcast_object_list(found, 0)
    return distributed.TCPStore(address, found[0], is_master=False, timeout=TIMEOUT)


def follows(machine: Machine) -> bool:
    """Take part in the runs of the first process until there is none, and return True; False in the first.

    A run that fails here fails in the first process, which says why.
    """
    place = meeting(machine.devices, machine.nodes, placed=machine.elsewhere)
    if place.processes.is_first:
        return False
    opened: dict[str, Data] = {}
    while (found := place.wait()) is not None:
        order, store = found
        torch.set_num_threads(order.machine.threads)
        try:
            data = opened.get(order.content) or order.open_images()
            opened = {order.content: data}
            order.fit(data, place.processes, store)
        except Exception as error:
            place.complain(store, error)
    return True


@contextmanager
def leading(machine: Machine) -> Iterator[None]:
    """Let the processes that a scheduler started end with the block."""
    if machine.nodes == 1 and not machine.is_started:
        yield
        return
    place = meeting(machine.devices, machine.nodes, placed=machine.elsewhere)
    try:
        yield
    finally:
        place.end()
