"""Decoded images in a file that all processes of a machine map, so that they take its memory once.

The file lies in a folder of the user in the folder for temporary files. It is there as long as a process uses
it: each holds a lock, which ends with the process however that ends. The last one removes the file, and what
killed processes left is removed by the next command.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import PIL
import torch

from foveate.data.dataset import Data
from foveate.data.greys import GreyRange
from foveate.data.locks import CAN_SHARE, Lock
from foveate.data.origin import files_origin
from foveate.data.store import MemoryStore
from foveate.errors import DiskError
from foveate.files import write_json, write_whole
from foveate.version import __version__

__all__ = ["find_shared", "remove_unused", "share", "shared_folder"]

IMAGES, LABELS = "images.npy", "labels.npy"
LOCK = ".lock"


@dataclass(frozen=True)
class _Described:
    """What is known of a set beside its images and labels; `counts` are the images of each part."""

    name: str
    classes: list[str]
    channels: int
    image_size: int
    canvas: int
    padding: int
    mean: list[float]
    std: list[float]
    notes: list[str]
    exclusions: list[str]
    names_fingerprint: str
    greys: list[int] | None
    counts: list[int]


def shared_folder() -> Path:
    """Return the folder of this user's decoded images; TMPDIR names another folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"foveate-{os.getuid() if CAN_SHARE else 'images'}"


def share(data: Data) -> str | None:
    """Move the decoded images of `data` into a file that other processes of this machine map, too.

    The stores of `data` then map that file. If another process wrote it already, it is only mapped. Images
    that are decoded on demand, and those with boxes or masks, stay as they are.

    Returns:
        why each process keeps the images in its own memory, a sentence, or None.
    """
    stores = [store for store in (data.train, data.test, data.validation) if store is not None]
    of_memory = [store for store in stores if isinstance(store, MemoryStore)]
    if not CAN_SHARE or len(of_memory) < len(stores) or any(store.is_mapped for store in of_memory):
        return None
    try:
        folder = _own_folder() / _entry(data.content_fingerprint).name
        lock = _use(folder, of_memory)
        try:
            _describe(data, folder)
            images, _ = _map(folder, lock)
        except BaseException:
            _end(lock, folder)
            raise
    except (DiskError, OSError) as error:
        megabytes = sum(store.images.nbytes for store in of_memory) / 1e6
        return (
            f"Each process keeps the {megabytes:,.0f} MB of decoded images in its own memory: they cannot be "
            f"shared in {shared_folder()} ({error}). The variable TMPDIR names another folder"
        )
    for store, mapped in zip(of_memory, images.split([len(store) for store in of_memory]), strict=True):
        store.images, store.is_mapped = mapped, True
    return None


def find_shared(content: str, source: str) -> Data | None:
    """Return the images of this content, mapped, if a process of this machine shares them.

    The files below the folder `source` must be as they were when that process opened them (`files_origin`).
    """
    if not (CAN_SHARE and _entry(content).is_dir() and (origin := files_origin(source))):
        return None
    try:
        folder = _own_folder() / _entry(content).name
        if not (folder / f"{origin}.json").exists():
            return None
        lock = Lock(_lock_of(folder))
    except OSError:
        return None
    try:
        lock.share()
        described = _Described(**json.loads((folder / f"{origin}.json").read_text(encoding="utf-8")))
        images, labels = _map(folder, lock)
    except OSError:  # it was removed before it was locked
        _end(lock, folder)
        return None
    parts = zip(
        images.split(described.counts), np.split(labels, np.cumsum(described.counts)[:-1]), strict=True
    )
    stores = [MemoryStore(*part, is_mapped=True) for part in parts]
    return Data(
        name=described.name,
        classes=tuple(described.classes),
        channels=described.channels,
        image_size=described.image_size,
        canvas=described.canvas,
        padding=described.padding,
        mean=tuple(described.mean),
        std=tuple(described.std),
        notes=tuple(described.notes),
        fingerprint=content,
        train=stores[0],
        test=stores[1],
        validation=stores[2] if len(stores) > 2 else None,
        exclusions=tuple(described.exclusions),
        content_fingerprint=content,
        names_fingerprint=described.names_fingerprint,
        greys=None if described.greys is None else GreyRange(*described.greys),
        origin=origin,
    )


def remove_unused() -> None:
    """Remove the images that no process uses any more: their processes were killed."""
    if CAN_SHARE and shared_folder().is_dir():
        with contextlib.suppress(OSError):
            for path in _own_folder().glob(f"*{LOCK}"):
                _remove(path.with_suffix(""))


def _entry(content: str) -> Path:
    """Return the folder of these images, decoded by this version."""
    name = hashlib.sha256(f"{content} {__version__} {PIL.__version__}".encode()).hexdigest()
    return shared_folder() / name[:32]


def _own_folder() -> Path:
    """Make the folder that only this user may read; one that somebody else made is refused."""
    folder = shared_folder()
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder of this user alone: remove it")
    return folder


def _lock_of(folder: Path) -> Path:
    return folder.with_suffix(LOCK)


def _use(folder: Path, stores: list[MemoryStore]) -> Lock:
    """Return a lock of the images, which are written if they are not there.

    Raises:
        OSError, DiskError: they cannot be written.
    """
    lock = Lock(_lock_of(folder))
    try:
        while True:
            lock.share()
            if (folder / IMAGES).exists():
                return lock
            lock.exclude()
            if not (folder / IMAGES).exists():
                _write(folder, stores)
    except BaseException:
        lock.release()
        _remove(folder)
        raise


def _write(folder: Path, stores: list[MemoryStore]) -> None:
    size = sum(store.images.nbytes for store in stores)
    free = shutil.disk_usage(folder.parent).free
    if free < size + size // 8:
        raise OSError(f"it has {free / 1e6:,.0f} MB left")
    with write_whole(folder / LABELS) as file:
        np.save(file, np.concatenate([store.labels for store in stores]), allow_pickle=False)
    shape = (sum(map(len, stores)), *stores[0].images.shape[1:])
    with write_whole(folder / IMAGES) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for store in stores:
            file.write(store.images.contiguous().numpy().data)


def _describe(data: Data, folder: Path) -> None:
    """Write what `find_shared` returns beside the images, if the files that they come from are known."""
    if not data.origin or (folder / f"{data.origin}.json").exists():
        return
    stores = [store for store in (data.train, data.test, data.validation) if store is not None]
    described = _Described(
        name=data.name,
        classes=list(data.classes),
        channels=data.channels,
        image_size=data.image_size,
        canvas=data.canvas,
        padding=data.padding,
        mean=list(data.mean),
        std=list(data.std),
        notes=list(data.notes),
        exclusions=list(data.exclusions),
        names_fingerprint=data.names_fingerprint,
        greys=None if data.greys is None else list(data.greys),
        counts=[len(store) for store in stores],
    )
    write_json(folder / f"{data.origin}.json", asdict(described))


def _map(folder: Path, lock: Lock) -> tuple[torch.Tensor, np.ndarray]:
    """Return all images and labels; `lock` is held as long as a view of the images is."""
    # Copy on write: torch has no tensors that cannot be written to, and the file is never changed.
    images = np.lib.format.open_memmap(folder / IMAGES, mode="c")
    weakref.finalize(images, _end, lock, folder)
    return torch.from_numpy(images), np.load(folder / LABELS, allow_pickle=False)


def _end(lock: Lock, folder: Path) -> None:
    lock.release()
    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove images that no process uses."""
    with contextlib.suppress(OSError):
        lock = Lock(_lock_of(folder))
        if lock.is_free():
            shutil.rmtree(folder, ignore_errors=True)
            lock.remove()
        else:
            lock.release()
