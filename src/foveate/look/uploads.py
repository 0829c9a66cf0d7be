"""Remove abandoned uploads: a request that is refused before it is handled leaves its file behind."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["forgotten_removed", "remove_forgotten"]

KEPT_SECONDS = 120.0
"""An upload may wait this long for those before it; one that is handled is deleted at once."""


@contextmanager
def forgotten_removed(folder: Path) -> Iterator[None]:
    """Remove uploads below `folder` that are older than `KEPT_SECONDS`, in a thread, until the context ends.

    Files that exist at the start are kept: they are the server's own.
    """
    own = frozenset(folder.rglob("*"))
    ended = threading.Event()

    def sweep() -> None:
        while not ended.wait(KEPT_SECONDS / 4):
            remove_forgotten(folder, own, KEPT_SECONDS)

    sweeper = threading.Thread(target=sweep, name="foveate-look-uploads", daemon=True)
    sweeper.start()
    try:
        yield
    finally:
        ended.set()
        sweeper.join()


def remove_forgotten(folder: Path, own: frozenset[Path], seconds: float) -> None:
    """Remove files below `folder` that were last written more than `seconds` ago and are not in `own`."""
    for path in sorted(folder.rglob("*"), reverse=True):  # the content of a folder before the folder
        with suppress(OSError):
            if path in own or time.time() - path.lstat().st_mtime < seconds:
                continue
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
