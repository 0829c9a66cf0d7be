"""Who holds a lease, and whether that process still exists, where this machine can tell."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Holder", "holder_of", "this_process"]

PROC = Path("/proc")


@dataclass(frozen=True)
class Holder:
    """A process.

    Attributes:
        host: name of its machine, for people.
        process: its id there.
        machine: the boot of the machine and the namespace of process ids that `process` belongs to; None
            where the system names none (only Linux does).
        started: when the process started, in clock ticks since the boot; an id may be given again to another
            process. None where `machine` is.
    """

    host: str
    process: int
    machine: str | None = None
    started: int | None = None

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"

    def is_here(self) -> bool:
        """Return whether this process can see that one: the same boot and the same ids of processes."""
        return self.machine is not None and self.machine == _this_machine()

    def is_gone(self) -> bool:
        """Return whether the process is known to have ended; False where that cannot be told."""
        if not self.is_here():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # of another user
        found = _state_and_start(self.process)
        if found is None:
            return False
        state, started = found
        return state in "ZX" or started != self.started  # a zombie does nothing any more


def this_process() -> Holder:
    """Return this process as a holder."""
    return holder_of(os.getpid()) or Holder(socket.gethostname(), os.getpid())


def holder_of(process: int) -> Holder | None:
    """Return a process of this machine as a holder; None if there is none, or the system does not tell."""
    machine = _this_machine()
    found = _state_and_start(process) if machine else None
    return Holder(socket.gethostname(), process, machine, found[1]) if found else None


@cache
def _this_machine() -> str | None:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _state_and_start(process: int) -> tuple[str, int] | None:
    """Return the state letter and the start of a process (fields 3 and 22 of proc(5)); None if unknown."""
    try:
        text = (PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    return fields[0], int(fields[19])
