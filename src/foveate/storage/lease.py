"""Leases: of several processes, on one machine or on several, one at a time does a piece of work.

A lease of a folder is a file `.lease-N` in it. N is the generation. Taking the lease is creating the file of
the next generation, which one process alone can do; the newest generation holds. The file names its holder,
and the holder raises a counter in it every few seconds, from a thread that ends with the lease.

**No time of day is read.** Another process that wants the lease watches the counter. If it has not changed
for `expiry` seconds of the watcher's own monotonic clock, or if the holder ran on this very machine and is
gone, or if it was released, the watcher creates the next generation. So clocks may differ by any amount.

**What is guaranteed.** A holder that has not raised its counter for half of `expiry`, by its own clock, takes
its lease as lost, and so does one that sees a newer generation: `check` raises. Thus at any time at most one
process passes `check`, if these assumptions hold: a file is created exclusively (see `FolderStorage.mark` and
`RemoteStorage.mark`); a new file and a changed counter are seen by others within half of `expiry` (NFS caches
attributes for at most 60 s by default); and no two clocks run at rates that differ by a factor of two.

**What is not.** A process may be stopped between `check` and the write that follows, for any time. Therefore
what counts as a result is never overwritten but created (`Storage.create`): of two that publish one result,
the second fails, whatever the clocks and the leases say.

The file of the newest generation stays when its lease is released: generations would otherwise begin again at
1, and a process that had been stopped for long could take an old number for the newest.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from foveate.errors import DiskError, WorkError
from foveate.storage.base import Storage
from foveate.storage.holder import Holder, this_process

__all__ = ["EXPIRY", "LEASE", "HeldError", "Lease", "LeaseLostError", "take"]

LEASE = ".lease-"
"""What the names of the files of leases begin with."""

BEAT, EXPIRY = 5.0, 120.0
"""Seconds between two beats, and after which a lease without a beat is taken over. That is longer than any
write of a record and than file systems cache, and a holder notices the loss of its lease after half of it."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two looks at a lease that another process holds; they double from one to the next."""

RELEASED = "released"
DIGITS = 12


class HeldError(WorkError):
    """The lease is held by another process, which is at work."""

    def __init__(self, holder: Holder | None, place: str):
        super().__init__(holder, place)  # an error is sent to another process as these arguments
        self.holder, self.place = holder, place

    def __str__(self) -> str:
        return f"{self.place} is taken by {self.holder or 'a process that has just begun'}"


class LeaseLostError(WorkError):
    """This process held the lease, and may hold it no more: it must not publish what it made."""


@dataclass(frozen=True)
class _Seen:
    """A lease as it is found in the storage; generation 0 is none."""

    generation: int
    content: bytes = b""

    def read(self) -> tuple[Holder | None, bool]:
        """Return the holder, and whether it released the lease; of a file that is half written, None."""
        try:
            content = json.loads(self.content)
            return Holder(**content["holder"]), content["beat"].strip() == RELEASED
        except (ValueError, KeyError, TypeError, AttributeError):
            return None, False


def _now() -> float:
    """Return seconds of a clock that also runs while the machine sleeps, where there is one."""
    return time.clock_gettime(clock) if (clock := getattr(time, "CLOCK_BOOTTIME", None)) else time.monotonic()


def _generations(storage: Storage, folder: str) -> list[int]:
    tails = [name.removeprefix(LEASE) for name in storage.names(folder) if name.startswith(LEASE)]
    return sorted(int(tail) for tail in tails if tail.isdecimal())


def _name(folder: str, generation: int) -> str:
    return f"{folder}/{LEASE}{generation}" if folder else f"{LEASE}{generation}"


def take(
    storage: Storage,
    folder: str = "",
    *,
    expiry: float = EXPIRY,
    patience: float = 0.0,
    say: Callable[[str], None] | None = None,
) -> "Lease":
    """Take the lease of a folder of `storage`.

    While another process holds it, wait until that releases it, or is taken for dead. `patience` is how many
    seconds to wait for a holder that is known to be at work; a holder of another machine is known to be so
    when its counter changes. `say` receives a sentence if there is anything to wait for.

    Raises:
        HeldError: another process is at work with the lease, and the patience has run out.
        DiskError: the storage does not answer.
    """
    place = f"{storage.place}/{folder}" if folder else storage.place
    began, pause = time.monotonic(), SHORTEST_PAUSE
    seen, since, moved = _Seen(0), began, False
    while True:
        asked = time.monotonic()  # before reading: this process may be stopped at any point
        found = _find(storage, folder)
        holder, released = found.read()
        if found != seen:
            moved = moved or seen.generation > 0
            seen, since = found, time.monotonic()
        is_gone = holder is not None and holder.is_gone()
        if found.generation == 0 or released or is_gone or asked - since >= expiry:
            if lease := Lease.begin(storage, folder, found.generation + 1, expiry):
                return lease
            continue
        at_work = moved or (holder is not None and holder.is_here())
        if at_work and time.monotonic() - began >= patience:
            raise HeldError(holder, place)
        if say is not None:
            say(f"{HeldError(holder, place)}: waiting for it to end, or to be silent for {expiry:g} s.")
            say = None
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE, expiry / 8)


def _find(storage: Storage, folder: str) -> _Seen:
    generation = max(_generations(storage, folder), default=0)
    return _Seen(generation, storage.read(_name(folder, generation)) or b"") if generation else _Seen(0)


class Lease:
    """A lease that this process holds. As a context manager it releases the lease at the end."""

    def __init__(self, storage: Storage, folder: str, generation: int, expiry: float):
        self.storage, self.folder, self.generation, self.expiry = storage, folder, generation, expiry
        self.holder = this_process()
        self._token = uuid.uuid4().hex
        self._count = 0
        self._lost: str | None = None
        self._raised = _now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of {folder}", daemon=True)

    @classmethod
    def begin(cls, storage: Storage, folder: str, generation: int, expiry: float) -> Self | None:
        """Create the file of `generation`, and return the lease; None if another process was faster."""
        lease = cls(storage, folder, generation, expiry)
        if not storage.mark(_name(folder, generation), lease._content("0")):
            return None
        there = _generations(storage, folder)
        if there[-1:] != [generation]:
            # An old number that was free again, as newer generations have deleted its file.
            storage.delete(_name(folder, generation))
            return None
        for older in there[:-1]:
            storage.delete(_name(folder, older))
        lease._thread.start()
        return lease

    @property
    def is_lost(self) -> bool:
        """Whether this process knows that the lease is lost; it costs nothing to ask at every step."""
        return self._lost is not None

    def check(self) -> None:
        """Return if this process holds the newest generation and has been able to say so lately.

        Raises:
            LeaseLostError: it does not; nothing that belongs to the lease may be written any more.
            DiskError: the storage does not answer.
        """
        self._look(strictly=True)
        self.refuse_lost()

    def refuse_lost(self) -> None:
        """Raise LeaseLostError if this process knows that the lease is lost."""
        if self._lost is not None:
            raise LeaseLostError(self._lost)

    def release(self) -> None:
        """End the thread, and let another process take the lease at once. A lost lease is left alone."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._lost is None:
            self._look()
        if self._lost is None:
            with suppress(DiskError):  # then it is taken over when it expires
                self.storage.overwrite(_name(self.folder, self.generation), self._content(RELEASED))
            self._lost = f"the lease of {self._place} was released"

    @property
    def _place(self) -> str:
        return f"{self.storage.place}/{self.folder}" if self.folder else self.storage.place

    def _content(self, beat: str) -> bytes:
        """Return the file's content; it has the same length for every beat."""
        fields = {"token": self._token, "holder": asdict(self.holder), "beat": f"{beat:>{DIGITS}}"}
        return json.dumps(fields).encode()

    def _beat(self) -> None:
        while not self._ended.wait(min(BEAT, self.expiry / 8)) and self._lost is None:
            self._raise_counter()

    def _raise_counter(self) -> None:
        began = _now()
        self._look()
        if self._lost is not None:
            return
        self._count += 1
        try:
            is_there = self.storage.overwrite(
                _name(self.folder, self.generation), self._content(str(self._count))
            )
        except DiskError:
            return  # tried again, until half of the expiry is over
        if is_there:
            self._raised = began
        else:
            self._lost = f"the lease of {self._place} was deleted while this process held it"

    def _look(self, *, strictly: bool = False) -> None:
        """Find out whether the lease is lost; `strictly` raises DiskError where the storage cannot tell."""
        silent = _now() - self._raised
        if self._lost is None and silent >= self.expiry / 2:
            self._lost = (
                f"this process was stopped, or could not reach {self._place}, for {silent:.0f} s: another "
                "process may have taken over its work. Its checkpoint is kept: give the same command again"
            )
        if self._lost is not None:
            return
        try:
            newest = _find(self.storage, self.folder)
        except DiskError:
            if strictly:
                raise
            return  # the time of silence decides
        if newest.generation != self.generation:
            self._lost = (
                f"{self._place} was taken over by {newest.read()[0] or 'another process'}: the work of this "
                "process does not count. Give the same command again to see that one's"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
