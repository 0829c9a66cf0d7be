"""Weights into a network that has attention: every key accounted for, and no pickle read unasked."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import timm.models
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.attach import attached

__all__ = ["check_weights", "load_weights", "read_safetensors"]

PICKLES = (b"PK\x03\x04", b"\x80")
"""How torch's files begin, today's (a zip of pickles) and the older ones."""
SHOWN = 4


def load_weights(
    model: nn.Module, weights: Mapping[str, Tensor] | str | Path, *, trust_pickle: bool = False
) -> list[str]:
    """Load weights into `model`, and return the keys that they did not have: all of the attention's, or none.

    `weights` is a state dict or a safetensors file, of the plain backbone or of the network with its
    attention. `trust_pickle` also reads torch's own files, such as a .pth, which can run any code that their
    author put in; a checkpoint's state dict is found in them as timm does.

    Raises RequestError for any other difference in names or shapes, and for files that are neither; then
    `model` is as it was.
    """
    if not isinstance(weights, Mapping):
        path = Path(weights)
        weights = _read_pickle(path) if trust_pickle and _is_pickle(path) else read_safetensors(path)[0]
    new = check_weights(model, weights)
    model.load_state_dict(dict(weights), strict=False)
    return new


def check_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Return what `load_weights` would; RequestError names the first keys and shapes that do not fit."""
    own = model.state_dict()
    prefixes = tuple(f"{path}." for path in attached(model))
    attention = [key for key in own if key.startswith(prefixes)] if prefixes else []
    new = [key for key in attention if key not in weights]
    if len(new) < len(attention):
        new = []
    # Weights from before torch counted batches have no count; torch fills it in.
    needed = [key for key in own if key not in new and not key.endswith("num_batches_tracked")]
    faults = {
        "it needs and they lack": [key for key in needed if key not in weights],
        "they have and it does not know": [key for key in weights if key not in own],
        "differ in shape": [
            f"{key} {tuple(weights[key].shape)} for {tuple(value.shape)}"
            for key, value in own.items()
            if key in weights and weights[key].shape != value.shape
        ],
    }
    if any(faults.values()):
        said = "; ".join(
            f"{len(keys)} {words}: {', '.join(keys[:SHOWN])}{', …' * (len(keys) > SHOWN)}"
            for words, keys in faults.items()
            if keys
        )
        raise RequestError(
            f"the weights are not those of this {type(model).__name__} ({said}). Build the network that they "
            "were saved from, with as many classes and channels and the same attention"
        )
    return new


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises RequestError where there is none, and says so of a pickle.
    """
    if not path.is_file():
        raise RequestError(f"{path} is not there, or no file: expected a safetensors file")
    if _is_pickle(path):
        raise RequestError(
            f"{path} is a pickle, which can run code when it is read, and is not opened. If you trust where "
            "it comes from, foveate.load_weights(model, path, trust_pickle=True) reads it"
        )
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return safetensors.torch.load_file(path), metadata
    except safetensors.SafetensorError as error:
        raise RequestError(f"{path} is no safetensors file, or is cut off: {error}") from error


def _is_pickle(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4).startswith(PICKLES)


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        return timm.models.load_state_dict(str(path), device="cpu", weights_only=False)
    except Exception as error:  # whatever unpickling runs into
        raise RequestError(f"{path} could not be read as torch's weights: {error}") from error
