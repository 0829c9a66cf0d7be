"""Locks of files between the processes of a machine, shared or exclusive; they end with their process."""

import os
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["CAN_SHARE", "Lock"]

CAN_SHARE = fcntl is not None
"""Whether this system has such locks."""


class Lock:
    """A lock of the file at `path`, which is made. The system takes it from a process that is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._is_open = True

    def share(self) -> None:
        """Hold it together with others; wait for one who excludes them."""
        self._take(fcntl.LOCK_SH)

    def exclude(self) -> None:
        """Hold it alone; wait for all others."""
        self._take(fcntl.LOCK_EX)

    def is_free(self) -> bool:
        """Hold it alone and return True, or return False if another process or thread holds it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return self._is_current()

    def release(self) -> None:
        """Let it go."""
        if self._is_open:
            self._is_open = False
            os.close(self._file)

    def remove(self) -> None:
        """Remove the file of a lock that is held alone, and let it go."""
        if self._is_current():
            self.path.unlink()
        self.release()

    def _take(self, kind: int) -> None:
        while True:
            fcntl.flock(self._file, kind)
            if self._is_current():
                return
            os.close(self._file)  # who held it before removed the file
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except FileNotFoundError:
            return False
