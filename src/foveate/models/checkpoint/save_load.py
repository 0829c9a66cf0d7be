"""A network in one safetensors file that says how to build it again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from foveate.errors import RequestError, first_line, remedy
from foveate.files import write_bytes
from foveate.models.checkpoint.bounds import TooLargeError, built_within
from foveate.models.checkpoint.likeness import check_rebuild
from foveate.models.checkpoint.metadata import (
    FORMAT,
    check_about,
    check_classes,
    check_preprocessing,
    read_about,
)
from foveate.models.checkpoint.rebuild import (
    describe_attention,
    describe_backbone,
    put_attention,
    rebuild,
)
from foveate.models.checkpoint.state_dicts import check_weights, fill, unwrap
from foveate.models.checkpoint.weight_files import read_safetensors
from foveate.models.sites.attach import attached, detach, with_tuples
from foveate.models.sites.dry_run import input_channels
from foveate.version import __version__

__all__ = ["AUTO", "WEIGHTS", "load", "save"]

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

    `classes` are the names in the order of the outputs, one for each; `preprocessing` has timm's keys
    (input_size as (C, H, W) in pixels, mean and std in 0..1, interpolation, crop_pct, crop_mode). None takes
    what the model says in its `pretrained_cfg`, an empty list of classes names none.

    `backbone` is a timm name, or "torchvision/NAME" of a classifier; "auto" takes the name that timm left in
    the model, and None where there is none. With None, `load` needs the plain network. `backbone_args` go to
    what builds it, beside the classes and channels that are read from the model. What is written is built
    once; it must have the modules that `model` has, with their settings (rates of dropout and stochastic
    depth too), and give what `model` gives. A tensor that has two names is written under both.

    Raises RequestError where it does not, or where the rest is not as said here, and DiskError where `path`
    cannot be written.
    """
    model = unwrap(model)
    said = dict(getattr(model, "pretrained_cfg", None) or {})
    if backbone == AUTO:
        backbone = said.get("architecture")
    built = describe_backbone(model, backbone, backbone_args or {}) if backbone else None
    classes = said.get("label_names") if classes is None else classes
    if isinstance(classes, list | tuple) and not classes:
        classes = None
    if classes is not None:
        check_classes(classes, _count_outputs(model, built))
    if preprocessing is None:
        preprocessing = _preprocessing(model)
    if preprocessing is not None:
        check_preprocessing(preprocessing, _known_channels(model))
    about = {
        "format": FORMAT,
        "foveate": __version__,
        "network": type(model).__name__,
        "backbone": built,
        "attention": describe_attention(model),
        "classes": classes,
        "preprocessing": preprocessing and dict(preprocessing),
    }
    try:
        text = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RequestError(f"what describes the network must be JSON: {error}") from error
    about = json.loads(text)
    check_about(about)
    tensors = _tensors(model)
    if built:
        check_rebuild(model, about, tensors)
    write_bytes(Path(path), safetensors.torch.save(tensors, {"foveate": text}))


def load(
    path: str | Path, model: nn.Module | None = None, *, device: str | torch.device = "cpu"
) -> nn.Module:
    """Rebuild the network in `path` with its attention and its weights, in eval mode, on `device`.

    `path` is a file that `save` wrote, or a folder with one: a run of a study, a download from the hub. What
    is returned has the classes (`label_names`) and the preprocessing in its `pretrained_cfg`, where
    `timm.data.resolve_model_data_config` reads them. `model` is the plain network, for one that foveate
    cannot build; it is filled and returned. Random numbers are drawn from no generator of the caller's.

    Raises RequestError where the file is none that `save` wrote, or is one of another network, and where
    there is no such device.
    """
    _refuse_device(device)
    path = _find(Path(path))
    tensors, metadata = read_safetensors(path)
    about = read_about(metadata, path, tensors)
    if model is None and about["backbone"] is None:
        raise RequestError(
            f"{path} holds a {about['network']}, which foveate cannot build: "
            + remedy(
                python=f"pass the plain network, as in foveate.load(path, model={about['network']}(…))",
                command="commands take networks that were saved with the name of a backbone",
            )
        )
    if model is not None and (unwrap(model) is not model or attached(model)):
        raise RequestError(
            f"model={type(model).__name__}(…) is compiled, parallel, or has attention already: pass the "
            "plain network, to which the file's attention is attached"
        )
    try:
        with built_within(tensors):
            if model is None:
                _compare_shapes(about, tensors)
                network = rebuild(about)
            else:
                network = put_attention(model, about["attention"])
        if check_weights(network, tensors):
            raise RequestError("it describes attention whose weights it does not hold: save it again")
        fill(network, tensors)
    except Exception as error:  # modules of one's own raise what they like
        if model is not None and attached(model):
            detach(model)
        raise RequestError(f"{path}: {error}") from error
    _describe(network, about)
    return network.to(device).eval()


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    runs = sorted(found.parent for found in path.glob(f"runs/*/{WEIGHTS[0]}"))
    one = f", such as the run {runs[0]}" if runs else ""
    raise RequestError(f"{path} has no {' and no '.join(WEIGHTS)}: expected a finished run, or a file{one}")


def _compare_shapes(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Raise RequestError where the network that is described is not that of `tensors`, before it has memory.

    A network that cannot be built without memory is compared once it is built.
    """
    try:
        shapes = rebuild(about, device="meta")
    except TooLargeError:
        raise
    except RequestError:
        return
    check_weights(shapes, tensors)


def _refuse_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:  # AssertionError: torch without CUDA
        raise RequestError(
            f"device {str(device)!r} is not there ({first_line(error)}): pass one that is, "
            "such as device='cpu'"
        ) from error


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """What `model` keeps, as copies on the CPU: safetensors take no two tensors in one place."""
    tensors = {}
    for key, value in model.state_dict().items():
        if not isinstance(value, Tensor) or value.is_meta or value.layout != torch.strided:
            kind = f"on the {value.device} device" if isinstance(value, Tensor) else type(value).__name__
            raise RequestError(
                f"{key} of {type(model).__name__} has no values that a file could hold ({kind}): expected "
                "dense tensors in memory. Load or draw the weights before saving"
            )
        tensors[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    return tensors


def _count_outputs(model: Any, built: Mapping[str, Any] | None) -> int | None:
    """How many outputs there are, of a network that can say it."""
    if built:
        outputs = built["args"].get("num_classes")
    else:
        classifier = model.get_classifier() if hasattr(model, "get_classifier") else None
        outputs = getattr(classifier, "out_features", None)
    return outputs if isinstance(outputs, int) else None


def _known_channels(model: nn.Module) -> int | None:
    convolutions = any(isinstance(module, nn.Conv2d) for module in model.modules())
    return input_channels(model) if convolutions else None


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
