"""Files of weights: safetensors are read, pickles named, and read only where the caller trusts them."""

from pathlib import Path

import safetensors
import timm.models
from torch import Tensor

from foveate.errors import RequestError

__all__ = ["read_safetensors", "read_weights"]

PICKLES = (b"PK\x03\x04", b"\x80")
"""How torch's files begin, today's (a zip of pickles) and the older ones."""


def read_weights(path: Path, *, trust_pickle: bool) -> dict[str, Tensor]:
    """Return the tensors in `path`, a safetensors file, or with `trust_pickle` one of torch's own.

    Raises RequestError for anything else.
    """
    if not (trust_pickle and _is_pickle(path)):
        return read_safetensors(path)[0]
    try:
        return timm.models.load_state_dict(str(path), device="cpu", weights_only=False)
    except Exception as error:  # whatever unpickling runs into
        raise RequestError(f"{path} could not be read as torch's weights: {error}") from error


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises RequestError where there is none, and says so of a pickle.
    """
    if _is_pickle(path):
        raise RequestError(
            f"{path} is a pickle, which can run code when it is read, and is not opened. If you trust where "
            "it comes from, foveate.load_weights(model, path, trust_pickle=True) reads it"
        )
    try:
        with safetensors.safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise RequestError(f"{path} is no safetensors file, or is cut off: {error}") from error


def _is_pickle(path: Path) -> bool:
    """Whether `path` begins as a pickle does, and not as a safetensors file.

    The latter begins with its header's length, eight bytes of which the first can be any, and "{".
    """
    if not path.is_file():
        raise RequestError(f"{path} is not there, or no file: expected a safetensors file")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}): see to it that it can") from error
    header = int.from_bytes(start[:8], "little")
    if start[8:] == b"{" and header <= path.stat().st_size - 8:
        return False
    return start.startswith(PICKLES)
