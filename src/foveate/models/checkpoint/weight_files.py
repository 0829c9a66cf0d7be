"""Files of weights: safetensors are read; pickles are recognised, and read only if the caller trusts them."""

import pickletools
import zipfile
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO

import safetensors
import timm.models
from torch import Tensor

from foveate.errors import RequestError, first_line, remedy
from foveate.models.checkpoint.file_names import check_there

__all__ = ["is_safetensors", "read_safetensors", "read_tensors", "read_weights"]

BEFORE_THE_OBJECT = 3
"""Pickles before the object in older files of torch: a magic number, a version, and the machine."""
FIRST_CODES = 8
STATE_DICT = "collections OrderedDict"

PICKLES = (b"PK\x03\x04", b"\x80")
"""The first bytes of torch's files: current (a zip of pickles) and older ones."""


def read_weights(path: Path, *, trust_pickle: bool) -> dict[str, Tensor]:
    """Return the tensors in `path`, a safetensors file, or with `trust_pickle` one of torch's own.

    Raises RequestError for anything else.
    """
    if not (trust_pickle and _is_pickle(path)):
        return read_safetensors(path)[0]
    if whole := _pickled_class(path):
        raise RequestError(_whole_network(path, whole))
    try:
        return timm.models.load_state_dict(str(path), device="cpu", weights_only=False)
    except Exception as error:  # whatever unpickling runs into
        raise RequestError(f"{path} could not be read as torch's weights: {error}") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in `path`, a safetensors file, or one of torch's that holds nothing but tensors.

    Torch's files are read with its restricted unpickler, which runs no code of the file; the state dict of a
    checkpoint is found in them as timm does.

    Raises RequestError for anything else.
    """
    if not _is_pickle(path):
        return read_safetensors(path)[0]
    if whole := _pickled_class(path):
        raise RequestError(_whole_network(path, whole))
    try:
        found = timm.models.load_state_dict(str(path), device="cpu", weights_only=True)
    except Exception as error:  # the unpickler refuses in many ways
        raise RequestError(
            f"{path} holds more than tensors, or is damaged, and is not read further "
            f"({first_line(error)[:80]}). Where it was made, save its weights alone, with "
            "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
        ) from error
    return {key: value for key, value in found.items() if isinstance(value, Tensor)}


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises RequestError for any other file; the error of a pickle says that it is one.
    """
    if _is_pickle(path):
        if whole := _pickled_class(path):
            raise RequestError(_whole_network(path, whole))
        cure = remedy(
            python="foveate.load_weights(model, path, trust_pickle=True) reads it",
            command="write its tensors to a safetensors file: safetensors.torch.save_file(state_dict, …)",
        )
        raise RequestError(
            f"{path} is a pickle, which can run code when it is read, and is not opened. If you trust where "
            f"it comes from, {cure}"
        )
    try:
        with safetensors.safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise RequestError(f"{path} is no safetensors file, or is cut off: {error}") from error


def is_safetensors(path: Path) -> bool:
    """Return whether `path` begins as a safetensors file does, and not as one of torch's own."""
    return not _is_pickle(path)


def _is_pickle(path: Path) -> bool:
    """Return whether `path` begins as a pickle does, and not as a safetensors file.

    The latter begins with the length of its header, eight bytes of which the first can be any, and "{".
    """
    check_there(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}): see to it that it can") from error
    header = int.from_bytes(start[:8], "little")
    if start[8:] == b"{" and header <= path.stat().st_size - 8:
        return False
    return start.startswith(PICKLES)


def _whole_network(path: Path, name: str) -> str:
    return (
        f"{path} is a pickled {name}, a whole object and not its weights, and is not opened: to build it "
        "again, its code would run. Where it was made, save its weights alone, with "
        "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
    )


def _pickled_class(path: Path) -> str | None:
    """Return the class of the object in a pickle, by its first opcodes, not run; None for a dict."""
    with (
        suppress(OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile, RuntimeError),
        path.open("rb") as file,
    ):
        if not zipfile.is_zipfile(file):
            file.seek(0)
            for _ in range(BEFORE_THE_OBJECT):
                for _ in pickletools.genops(file):
                    pass
            return _first_class(file)
        with zipfile.ZipFile(file) as archive:
            inner = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if inner is not None:
                with archive.open(inner) as pickled:
                    return _first_class(pickled)
    return None


def _first_class(pickled: IO[bytes]) -> str | None:
    for code, argument, _ in islice(pickletools.genops(pickled), FIRST_CODES):
        if code.name == "GLOBAL":
            return None if argument == STATE_DICT else str(argument).partition(" ")[2]
        # Older files have before a network's class: ("module", class, …), their persistent id.
        if code.name not in ("PROTO", "FRAME", "MARK", "BINPUT") and argument != "module":
            return None
    return None
