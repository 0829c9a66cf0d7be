"""Open the place of a study: a path, or a URL, which gets a mirror in the user's cache folder."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from foveate.errors import RequestError
from foveate.files import find_obstacle, write_json
from foveate.records.file_names import RUNS, SEARCH
from foveate.storage.base import Storage
from foveate.storage.cache import cache_folder
from foveate.storage.connect import check_writable, open_remote
from foveate.storage.folder import FolderStorage
from foveate.storage.mirror import Mirror
from foveate.storage.remote import RemoteStorage

__all__ = [
    "find_mirror",
    "is_url",
    "local_folder",
    "place_of",
    "publish",
    "refresh",
    "shown_place",
    "storage_of",
    "synchronise",
]

MARKER = ".foveate-url.json"
"""The file of a mirror that names the URL it is of, and its server."""

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def is_url(place: str) -> bool:
    """Return whether `place` is a URL and no path."""
    return URL.match(place) is not None


def local_folder(place: str, *, writes: bool = False, large: bool = False, pulls: bool = True) -> Path:
    """Return the local folder of the study, or of the run, at `place`: a path, or a URL.

    That is the path itself. For a URL it is a mirror in the user's cache folder, into which the records are
    copied, as far as they changed; weights and checkpoints only with `large`. With `writes` the storage is
    tried first: it must be writable, and create an object only if it is absent. Without `pulls` nothing is
    copied: a worker process copies the folder of a run when it holds it.

    Raises:
        RequestError: the URL has an unknown scheme or a password, its package is not installed, its server
            does not answer or refuses, or the cache folder cannot be written to.
        DiskError: the storage failed while files were copied.
    """
    if not is_url(place):
        return Path(place)
    if place.lower().startswith("file://"):
        return Path(unquote(urlsplit(place).path))
    root, inside = _parts(place)
    storage = _open(root)
    if writes:
        check_writable(storage)
    folder = _folder_of(storage)
    if there := find_obstacle(folder):
        raise RequestError(
            f"{place} needs a folder for a local copy, and {there} cannot be written to: set XDG_CACHE_HOME"
        )
    marker = folder / MARKER
    if not marker.exists():
        write_json(marker, {"url": root, "endpoint": storage.endpoint})
    if not pulls:
        return folder / inside
    mirror = Mirror(folder, storage)
    mirror.pull(large=large and not inside)
    if large and inside:  # the weights of one run
        mirror.pull(inside, large=True)
    return folder / inside


def _parts(url: str) -> tuple[str, str]:
    """Return the URL of a study, and what is behind it: nothing, or the folder of a run in it."""
    url = url.rstrip("/")
    found = re.fullmatch(rf"(.+)/((?:{RUNS}|{SEARCH})/[^/]+)", url)
    return (found[1], found[2]) if found else (url, "")


def _folder_of(storage: RemoteStorage) -> Path:
    """Return the folder of a mirror; the same URL on another server has another."""
    digest = hashlib.sha256(f"{storage.endpoint}\n{storage.url}".encode()).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", storage.url.rpartition("/")[2])[:60]
    return cache_folder() / "studies" / f"{name}-{digest}"


@cache
def _open(url: str) -> RemoteStorage:
    return open_remote(url)


def find_mirror(folder: Path) -> Mirror | None:
    """Return the mirror that `folder` belongs to, as the folder of a study, a run or a trial; None if none.

    Raises:
        RequestError: its storage cannot be opened from here.
    """
    folder = folder.absolute()
    for root in (folder, folder.parent, folder.parent.parent):
        marker = root / MARKER
        if not marker.is_file():
            continue
        url = json.loads(marker.read_text(encoding="utf-8"))["url"]
        return Mirror(root, _open(url))
    return None


def storage_of(folder: Path) -> tuple[Storage, str]:
    """Return the storage in which the records of `folder` lie, and the name of the folder in it."""
    mirror = find_mirror(folder)
    if mirror is None:
        return FolderStorage(folder), ""
    inside = folder.absolute().relative_to(mirror.folder).as_posix()
    return mirror.storage, "" if inside == "." else inside


def shown_place(folder: Path) -> str:
    """Return how a person names `folder`, or a file in it: the URL behind a mirror, or the path itself."""
    for root in (folder, *folder.parents):
        if (root / MARKER).is_file():
            storage, _ = storage_of(root)
            return f"{storage.place}/{folder.relative_to(root).as_posix()}".removesuffix("/.")
    return str(folder)


def place_of(folder: Path) -> str:
    """Return what gives the same records to `local_folder` on another machine: a URL, or an absolute path."""
    place = shown_place(folder)
    return place if is_url(place) else str(folder.absolute())


def publish(folder: Path) -> None:
    """Copy the study's own files that changed to the URL behind `folder`; a plain folder needs nothing.

    Raises:
        DiskError: the storage does not answer, or does not let this process write.
    """
    if mirror := find_mirror(folder):
        mirror.push()


def refresh(folder: Path) -> None:
    """Copy what other machines changed from the URL behind `folder`; a plain folder needs nothing.

    Raises:
        DiskError: the storage does not answer, or the disk is full.
    """
    if mirror := find_mirror(folder):
        mirror.pull()


def synchronise(folder: Path) -> None:
    """Do what `publish` does, then what `refresh` does; for the sole user of a study."""
    publish(folder)
    refresh(folder)
