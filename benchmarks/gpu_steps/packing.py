"""Pack the results of a slice into one small file: records without checkpoints, and optionally weights."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from foveate.errors import RequestError
from foveate.models.checkpoint.save_load import WEIGHTS

PACKED = "slice.tar.gz"
KEPT = (".json", ".csv", ".safetensors")


def pack(folder: Path, *, weights: bool) -> Path:
    """Write PACKED into `folder`, whole or not at all, and return its path."""
    path = folder / PACKED
    part = path.with_name(f"{PACKED}.part")
    with tarfile.open(part, "w:gz", compresslevel=6) as archive:
        for file in _small_files(folder, weights):
            archive.add(file, file.relative_to(folder).as_posix())
    part.replace(path)
    return path


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the results of an earlier slice into `folder`; existing files are kept.

    Raises:
        RequestError: the file is no such archive, or has members outside the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as opened:
            new = [
                member
                for member in opened.getmembers()
                if member.isfile() and not (folder / member.name).exists()
            ]
            opened.extractall(folder, new, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise RequestError(f"{archive} is no {PACKED} of an earlier slice: {error}") from error


def _small_files(folder: Path, weights: bool) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in KEPT and (weights or file.name not in WEIGHTS):
            yield file
