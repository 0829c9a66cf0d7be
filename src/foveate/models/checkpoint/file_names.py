"""The files of a network in a folder, and what can be said of them without reading any."""

from pathlib import Path

from foveate.errors import RequestError

__all__ = ["WEIGHTS", "check_there", "find_weights"]

WEIGHTS = ("weights.safetensors", "model.safetensors")
"""The names of the file in the folder of a run, and on the hub."""


def find_weights(path: Path) -> Path:
    """Return `path`, or the file of weights in the folder `path`; RequestError if it has none."""
    if not path.is_dir():
        return path
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    runs = sorted(found.parent for found in path.glob(f"runs/*/{WEIGHTS[0]}"))
    one = f", such as the run {runs[0]}" if runs else ""
    raise RequestError(f"{path} has no {' and no '.join(WEIGHTS)}: expected a finished run, or a file{one}")


def check_there(path: Path) -> None:
    """Raise RequestError unless there is a file at `path`."""
    if not path.is_file():
        raise RequestError(f"{path} is not there, or no file: expected a safetensors file")
