"""A network in one safetensors file that says how to build it again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from timm.data import resolve_model_data_config
from torch import nn

from foveate.errors import RequestError
from foveate.files import write_bytes
from foveate.models.attach import attached, detach
from foveate.models.loading import check_weights, read_safetensors
from foveate.models.probe import input_channels
from foveate.models.rebuild import (
    check_rebuild,
    describe_attention,
    describe_backbone,
    put_attention,
    rebuild,
    with_tuples,
)
from foveate.version import __version__

__all__ = ["AUTO", "WEIGHTS", "load", "save", "unwrap"]

FORMAT = 1
AUTO = "auto"
WEIGHTS = ("weights.safetensors", "model.safetensors")
"""What the file is called in a run's folder, and on the hub."""


def save(
    model: nn.Module,
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    backbone: str | None = AUTO,
    backbone_args: Mapping[str, Any] | None = None,
) -> None:
    """Write `model` to `path` as safetensors whose metadata rebuild it: backbone, attention, classes, images.

    `classes` are the names in the order of the outputs; `preprocessing` has timm's keys (input_size as
    (C, H, W) in pixels, mean and std in 0..1, interpolation, crop_pct, crop_mode). None takes what the model
    says in its `pretrained_cfg`.

    `backbone` is a timm name, or "torchvision/NAME"; "auto" takes the name that timm left in the model, and
    None where there is none. With None, `load` needs the plain network. `backbone_args` go to what builds
    it, beside the classes and channels that are read from the model. What is written is built once and must
    give what `model` gives.

    Raises RequestError where it does not, and DiskError where `path` cannot be written.
    """
    model = unwrap(model)
    said = dict(getattr(model, "pretrained_cfg", None) or {})
    if backbone == AUTO:
        backbone = said.get("architecture")
    about = {
        "format": FORMAT,
        "foveate": __version__,
        "network": type(model).__name__,
        "backbone": backbone and describe_backbone(model, backbone, backbone_args or {}),
        "attention": describe_attention(model),
        "classes": list(classes) if classes is not None else said.get("label_names"),
        "preprocessing": dict(preprocessing) if preprocessing is not None else _preprocessing(model),
    }
    try:
        text = json.dumps(about)
    except TypeError as error:
        raise RequestError(f"what describes the network must be JSON: {error}") from error
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if backbone:
        check_rebuild(model, json.loads(text), tensors)
    write_bytes(Path(path), safetensors.torch.save(tensors, {"foveate": text}))


def load(
    path: str | Path, model: nn.Module | None = None, *, device: str | torch.device = "cpu"
) -> nn.Module:
    """Rebuild the network in `path` with its attention and its weights, in eval mode, on `device`.

    `path` is a file that `save` wrote, or a folder with one: a run of a study, a download from the hub. What
    is returned has the classes (`label_names`) and the preprocessing in its `pretrained_cfg`, where
    `timm.data.resolve_model_data_config` reads them. `model` is the plain network, for one that foveate
    cannot build; it is filled and returned.

    Raises RequestError where the file is none that `save` wrote, or is one of another network.
    """
    path = _find(Path(path))
    tensors, metadata = read_safetensors(path)
    try:
        about = json.loads(metadata["foveate"])
        known = about["format"] == FORMAT
    except (KeyError, TypeError, ValueError):
        raise RequestError(
            f"{path} does not say what network it holds: foveate.save did not write it. Build the network, "
            "and give it the weights with foveate.load_weights(model, path)"
        ) from None
    if not known:
        raise RequestError(
            f"{path} has format {about['format']}, this foveate reads {FORMAT}: update foveate"
        )
    if model is None and about["backbone"] is None:
        raise RequestError(
            f"{path} holds a {about['network']}, which foveate cannot build: pass the plain network, as in "
            f"foveate.load(path, model={about['network']}(…))"
        )
    network = rebuild(about) if model is None else put_attention(model, about["attention"])
    try:
        if check_weights(network, tensors):
            raise RequestError(f"{path} describes attention whose weights it does not hold: save it again")
    except RequestError:
        if model is not None and attached(model):
            detach(model)
        raise
    # With the dtypes that were saved; copies, because what lies askew in memory is rounded otherwise.
    network.load_state_dict({key: tensor.clone() for key, tensor in tensors.items()}, assign=True)
    _describe(network, about)
    return network.to(device).eval()


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network in what compiling and training in parallel put around it."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrap(model.module)
    inner = getattr(model, "_orig_mod", None)
    return unwrap(inner) if isinstance(inner, nn.Module) else model


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    raise RequestError(f"{path} has no {' and no '.join(WEIGHTS)}: expected a finished run, or a file")


def _preprocessing(model: nn.Module) -> dict[str, Any] | None:
    """What timm says of the images, for as many channels as the network takes."""
    if not getattr(model, "pretrained_cfg", None):
        return None
    said = resolve_model_data_config(model)
    channels = input_channels(model)
    if channels != said["input_size"][0]:
        said["input_size"] = (channels, *said["input_size"][1:])
        for key in ("mean", "std"):
            said[key] = (sum(said[key]) / len(said[key]),) * channels
    return said


def _describe(network: nn.Module, about: Mapping[str, Any]) -> None:
    """Say what the outputs and the images are, where timm looks for it."""
    said = dict(getattr(network, "pretrained_cfg", None) or {})
    said |= with_tuples(about["preprocessing"] or {})
    if about["classes"] is not None:
        said |= {"label_names": about["classes"], "num_classes": len(about["classes"])}
    network.pretrained_cfg = network.default_cfg = said  # type: ignore[assignment]
