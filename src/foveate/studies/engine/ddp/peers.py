"""Train one run in several processes of this machine: this one is the first, and starts the others."""

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from torch import distributed

from foveate.errors import RequestError, WorkError, in_words
from foveate.files import write_text
from foveate.studies.engine.ddp.group import LOOPBACK, TIMEOUT, store_on_loopback
from foveate.studies.engine.ddp.order import Order
from foveate.studies.engine.executors.reaper import ctrl_c_ignored, end_with, reaper, watch_over
from foveate.studies.engine.holding import Cancelled
from foveate.tasks.processes import Processes

__all__ = ["peers"]

SECONDS_TO_SPEAK = 10.0
"""How long the first process waits, after an error, for the others to say whether theirs came before."""
SECONDS_TO_LEAVE = 60.0
"""How long a training that lost a process may take to notice. Then this process is ended."""


@dataclass(frozen=True)
class _End:
    """How a process ended: without an error, or with one at a time (in seconds since 1970)."""

    error: WorkError | RequestError | None = None
    trace: str = ""
    at: float = 0.0


READY = "ready"


@dataclass(eq=False)
class _Peer:
    """A process that was started, as the first sees it."""

    process: BaseProcess
    connection: Connection
    number: int
    end: _End | None = None

    def listen(self) -> str | None:
        """Wait for what the process says, and return it; None at its end, which is kept."""
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(said, _End):
            self.end = said
            return None
        return str(said)


@contextmanager
def peers(order: Order) -> Iterator[distributed.Store]:
    """Start the other processes of `order` and give the store at which all meet, once all are ready.

    They end with the block and with this process, even if it is killed: each watches a pipe whose other end
    only this process holds, and until it does, a reaper watches. An error of theirs that caused the one of
    this process is raised in its place.

    Raises:
        WorkError: a process failed, or ended without a message.
    """
    context = multiprocessing.get_context("spawn")
    held, watched = context.Pipe(duplex=False)[::-1]
    store = store_on_loopback()
    started: list[_Peer] = []
    left = threading.Event()
    count = order.machine.devices
    with reaper() as listening:
        try:
            with ctrl_c_ignored():  # by the processes, which this one ends
                for number in range(1, count):
                    here, there = context.Pipe()
                    process = context.Process(
                        target=_take_part, args=(watched, there, order.of_peer(), number), daemon=False
                    )
                    process.start()
                    there.close()
                    started.append(_Peer(process, here, number))
            watch_over(listening, [peer.process.pid for peer in started if peer.process.pid is not None])
            for peer in started:
                if peer.listen() != READY:
                    raise _why(peer, order)
            for peer in started:
                peer.connection.send(store.port)
            _end_if_stuck(started, left, order)
            yield store
            for peer in started:  # they leave when the training has ended
                peer.process.join(SECONDS_TO_SPEAK)
        except Exception as error:
            raised_at = time.time()
            left.set()
            own = isinstance(error, WorkError | RequestError | Cancelled)
            if not own and (cause := _cause(started, raised_at, order)):
                raise cause from error
            raise
        finally:
            left.set()
            for peer in started:
                peer.process.kill()
                peer.process.join()
                peer.connection.close()
            held.close()
            watched.close()


def _cause(started: list[_Peer], before: float, order: Order) -> WorkError | RequestError | None:
    """Return the error of a process that ended before this one's error, if there is one."""
    deadline = time.monotonic() + SECONDS_TO_SPEAK
    for peer in started:
        while peer.end is None and peer.connection.poll(max(deadline - time.monotonic(), 0)):
            if peer.listen() is None:
                # Its pipe is closed before it has ended.
                peer.process.join(max(deadline - time.monotonic(), 0))
                break
    ended = [peer for peer in started if peer.end is not None and peer.end.error and peer.end.at <= before]
    if ended:
        first = min(ended, key=lambda peer: peer.end.at if peer.end else 0.0)
        return _why(first, order)
    lost = [peer for peer in started if peer.end is None and not peer.process.is_alive()]
    return _why(lost[0], order) if lost else None


def _why(peer: _Peer, order: Order) -> WorkError | RequestError:
    """Return why a process ended, as an error; the traceback of an unexpected one is written."""
    end = peer.end
    if end is None or end.error is None:
        return WorkError(
            f"process {peer.number + 1} of the {order.machine.devices} that trained this run ended without a "
            "message (out of memory?): give the same command again to resume it, with a smaller --batch-size "
            "or fewer --devices if it ends again"
        )
    if end.trace:
        write_text(order.folder / "error.txt", end.trace)
    return end.error


def _end_if_stuck(started: list[_Peer], left: threading.Event, order: Order) -> None:
    """Watch in a thread for a process that is lost while this one trains.

    gloo raises an error in this process at once. NCCL may wait for the lost process for ever: its group is
    aborted, and if that does not help either, this process ends.
    """

    def watch() -> None:
        while not left.wait(0.5):
            lost = [peer for peer in started if peer.process.exitcode not in (None, 0)]
            if not lost:
                continue
            if distributed.is_initialized() and distributed.get_backend() == "nccl":
                with suppress(Exception):
                    distributed.group.WORLD.abort()  # type: ignore[union-attr]
            if not left.wait(SECONDS_TO_LEAVE):
                os.write(2, f"foveate: {_why(lost[0], order)}\n".encode())
                os._exit(1)
            return

    threading.Thread(target=watch, daemon=True).start()


def _take_part(watched: Connection, connection: Connection, order: Order, number: int) -> None:
    """Be process `number` of those that train a run; started by the first."""
    threading.Thread(target=end_with, args=(watched,), daemon=True).start()
    machine = order.machine
    processes = Processes(number, number, machine.devices)
    try:
        data = order.open_images()
        connection.send(READY)
        store = distributed.TCPStore(LOOPBACK, connection.recv(), is_master=False, timeout=TIMEOUT)
        order.fit(data, processes, store)
        connection.send(_End())
    except BaseException as error:
        at = time.time()
        where = machine.device_of(processes)
        connection.send(replace(_described(error, number, where, order.folder), at=at))
        connection.close()
        os._exit(1)  # an error in one process must not wait for the others to leave the group


def _described(error: BaseException, number: int, device: torch.device, folder: Path) -> _End:
    if isinstance(error, RequestError | WorkError):
        return _End(error)
    if isinstance(error, torch.OutOfMemoryError):
        return _End(WorkError(f"out of memory on {device}: lower --batch-size, or --jobs"))
    said = f"{in_words(error)} (in process {number + 1}; the traceback is in "
    return _End(WorkError(f"{said}{folder / 'error.txt'})"), traceback.format_exc())
