"""The state of the files that a set is read from, by which a process knows in short that none was changed."""

import hashlib
import os
from pathlib import Path

from foveate.data.source import image_folder

__all__ = ["files_origin"]


def files_origin(source: str) -> str:
    """Hash path, names, sizes and times of all files below the folder `source`, not what is in them.

    The times are those of the last change of the content and of the file itself, which a program cannot set:
    a file that is replaced by one of the same size and modification time is noticed. Links are followed.
    It is empty if `source` is no folder, or if a part of it cannot be read.
    """
    root = image_folder(source)
    if root is None:
        return ""
    root = root.resolve()
    found = hashlib.sha256(os.fsencode(root))
    try:
        _add(found, root, frozenset())
    except OSError:
        return ""
    return found.hexdigest()


def _add(found: "hashlib._Hash", folder: Path, above: frozenset[tuple[int, int]]) -> None:
    place = folder.stat()
    above = above | {(place.st_dev, place.st_ino)}
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        try:
            state = entry.stat()
        except FileNotFoundError:  # a broken link
            found.update(os.fsencode(entry.path) + b"\0-\n")
            continue
        if not entry.is_dir():
            times = f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
            found.update(os.fsencode(entry.path) + f"\0{times}\n".encode())
        elif (state.st_dev, state.st_ino) not in above:
            _add(found, Path(entry.path), above)
