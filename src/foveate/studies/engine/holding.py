"""Hold the folder of a study, or of a run, so that no other process works in it: by leases.

Where the folder is the mirror of a URL, the lease lies there, and what changes is copied there.
"""

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from foveate.errors import DiskError, RequestError, WorkError
from foveate.files import PART, create_whole, json_bytes, remove_parts, write_bytes, write_text
from foveate.records.base import Record
from foveate.records.file_names import RUNS, SEARCH
from foveate.storage.lease import EXPIRY, HeldError, Lease, LeaseLostError, take
from foveate.storage.mirror import Mirror
from foveate.storage.opening import find_mirror, refresh, shown_place, storage_of, synchronise

if TYPE_CHECKING:
    import torch

    from foveate.training.fit import OnStep

__all__ = ["Cancelled", "HeldRun", "hold_run_folder", "sole_user"]

PATIENCE = 600.0
"""Seconds to wait for a run that another process is training. It may need hours, and other runs wait."""

COPIED_EVERY = 5.0
"""Seconds between two looks for a new checkpoint, to copy it to the URL of the study."""


@contextmanager
def sole_user(
    out: Path, say: Callable[[str], None] | None = None, *, expiry: float = EXPIRY
) -> Iterator[Lease]:
    """Hold the lease of a study's folder; yield it, for `Lease.refuse_lost` while long work goes on.

    Temporary files of processes that were killed while they wrote are removed. Behind a URL, the study's
    files are copied from there first, and to there at the end. `say` receives a sentence if this process has
    to wait until another one is known to be dead.

    Raises:
        RequestError: another process is at work in the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    storage, inside = storage_of(out)
    try:
        lease = take(storage, inside, expiry=expiry, say=say)
    except HeldError as error:
        who = error.holder or "a process that has just begun"
        raise RequestError(
            f"another foveate is at work in {shown_place(out)}: {who}. Wait for it, or give another --out"
        ) from error
    with lease:
        remove_parts(out, besides=(RUNS, SEARCH))  # runs are held by processes of their own
        refresh(out)
        try:
            yield lease
        except BaseException:
            with suppress(DiskError):  # what ended the work is said
                _finish(lease, out)
            raise
        _finish(lease, out)


def _finish(lease: Lease, out: Path) -> None:
    if not lease.is_lost:
        synchronise(out)


class Cancelled(Exception):  # noqa: N818
    """Raised by a callback of a training to end it early; it is not an error."""


class HeldRun:
    """The folder of a run, or of a trial, whose lease this process holds."""

    def __init__(self, folder: Path, lease: Lease, mirror: Mirror | None):
        self.folder = folder
        self._lease = lease
        self._mirror = mirror
        self._scope = "" if mirror is None else folder.absolute().relative_to(mirror.folder).as_posix()
        if mirror is not None:
            mirror.pull(self._scope, large=True)  # a checkpoint of another machine, or a finished run
        self._there = {path.name for path in folder.iterdir()}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._copy_checkpoints, name="checkpoints", daemon=True)
        if mirror is not None:
            self._thread.start()

    def check(self) -> None:
        """Raise LeaseLostError if another process may have taken over the run."""
        self._lease.check()

    def stopping(self, on_step: "OnStep | None") -> "OnStep":
        """Return a callback of a training that ends it when the lease is lost, and else calls `on_step`."""

        def step(epoch: int, at: int, steps: int, value: float | None) -> None:
            self._lease.refuse_lost()
            if on_step is not None:
                on_step(epoch, at, steps, value)

        return step

    def publish(self, name: str, record: Record) -> None:
        """Write the record that says what the run came to, after all its other files.

        It is created: if another process has published one meanwhile, that one stays. A record that was there
        when the lease was taken, such as of a trial that failed, is replaced.

        Raises:
            LeaseLostError: another process took over the run.
            DiskError: the record could not be written.
        """
        content, replaces = json_bytes(record.to_json()), name in self._there
        self._stop_copying()
        self.check()
        path = self.folder / name
        if self._mirror is not None:
            self._mirror.push(self._scope)
            self.check()
            there = f"{self._scope}/{name}"
            if replaces:
                self._mirror.storage.write(there, content)
            elif not self._mirror.storage.create(there, content):
                raise self._was_published(name)
            write_bytes(path, content)
            self._mirror.note_copied(there)
        elif replaces:
            write_bytes(path, content)
        elif not create_whole(path, content):
            raise self._was_published(name)

    def _was_published(self, name: str) -> LeaseLostError:
        return LeaseLostError(
            f"another process finished {shown_place(self.folder)} first, and its {name} counts: give the "
            "same command again to read it"
        )

    def end(self) -> None:
        """Copy to the URL what the run left: its last checkpoint, or that there is none any more."""
        self._stop_copying()
        if self._mirror is not None and not self._lease.is_lost:
            self._mirror.push(self._scope)

    def _stop_copying(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _copy_checkpoints(self) -> None:
        assert self._mirror is not None
        while not self._ended.wait(COPIED_EVERY) and not self._lease.is_lost:
            with suppress(DiskError):  # tried again; the lease is lost if the storage stays silent
                self._mirror.push(self._scope)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end()
            return
        with suppress(DiskError):  # what ended the work is said
            self.end()


@contextmanager
def hold_run_folder(
    folder: Path, device: "torch.device", *, patience: float | None = None, expiry: float = EXPIRY
) -> Iterator[HeldRun]:
    """Hold the lease of a run's folder, and turn every error of the run into WorkError.

    If another process holds it, wait until that has ended, or was silent for `expiry` seconds: then its
    result is there, or its checkpoint. `patience` is how many seconds to wait for one that is at work, by
    default PATIENCE.

    Raises:
        WorkError: the run failed, or another process is training it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage, inside = storage_of(folder)
    try:
        with take(
            storage, inside, patience=PATIENCE if patience is None else patience, expiry=expiry
        ) as lease:
            for stale in folder.glob(f"*{PART}"):  # of a process that was killed while it wrote
                stale.unlink(missing_ok=True)
            with HeldRun(folder, lease, find_mirror(folder)) as held, _explained(folder, device):
                yield held
    except HeldError as error:
        raise WorkError(f"{error}, which is training it: give the same command again later") from error


@contextmanager
def _explained(folder: Path, device: "torch.device") -> Iterator[None]:
    """Turn every error of a run into WorkError; error.txt has the traceback of an unexpected one."""
    import torch

    try:
        yield
    except RequestError as error:
        raise WorkError(str(error)) from error  # a streamed image is broken
    except torch.OutOfMemoryError as error:
        raise WorkError(f"out of memory on {device}: lower --batch-size, or --jobs") from error
    except (WorkError, Cancelled):
        raise
    except Exception as error:  # the other runs of the study continue
        write_text(folder / "error.txt", traceback.format_exc())
        where = shown_place(folder / "error.txt")
        raise WorkError(f"{type(error).__name__}: {error} (the traceback is in {where})") from error
