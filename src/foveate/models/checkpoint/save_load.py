"""Save a network in one safetensors file that describes how to build it again, and load it."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor, nn

from foveate.attention.custom import CustomMechanism
from foveate.errors import RequestError, first_line, remedy
from foveate.files import write_bytes
from foveate.models.backbones.arguments import Arguments
from foveate.models.backbones.call import BackboneCall, call_of
from foveate.models.backbones.head import timm_outputs
from foveate.models.backbones.preprocessing import declared_preprocessing, read_preprocessing
from foveate.models.checkpoint.adapter import check_base, check_probe, fill_adapter, split
from foveate.models.checkpoint.attention_groups import (
    custom_mechanisms,
    describe_attention,
    put_attention,
)
from foveate.models.checkpoint.custom_code import CustomClass, find_custom_code
from foveate.models.checkpoint.description import KEY, Description, check_classes, read_description
from foveate.models.checkpoint.file_names import WEIGHTS, find_weights
from foveate.models.checkpoint.rebuild import rebuild
from foveate.models.checkpoint.rebuild_check import OtherNetworkError, check_rebuild
from foveate.models.checkpoint.size_limits import TooLargeError, built_within
from foveate.models.checkpoint.state_dicts import check_weights, fill
from foveate.models.checkpoint.weight_files import read_safetensors
from foveate.models.sites.attach import attached, detach
from foveate.models.sites.forward_pass import input_channels, timm_config
from foveate.models.sites.own import forget_own, remove_own, removed_own
from foveate.models.sites.wrappers import unwrap
from foveate.notation import listing

__all__ = ["AUTO", "WEIGHTS", "load", "save"]

AUTO = "auto"


def save(
    model: nn.Module,
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    backbone: str | None = AUTO,
    backbone_args: Arguments | None = None,
    only: Literal["attention"] | None = None,
    base: nn.Module | str | Path | None = None,
) -> None:
    """Write `model` to `path` as safetensors whose metadata describe backbone, attention, classes and images.

    `classes` are the names in the order of the outputs, one for each; `preprocessing` has timm's keys
    (input_size as (C, H, W) in pixels, mean and std in 0..1, interpolation, crop_pct, crop_mode). None takes
    what the model declares in its `pretrained_cfg`; an empty list of classes names none.

    `backbone` is a timm name, or "torchvision/NAME" of a classifier or a segmenter; "auto" takes the name
    that timm recorded in the model, or None where there is none, or where it is that of a network of another
    class. With None, any network is saved, and `load` needs it without attention. `backbone_args` are
    arguments of the backbone's constructor, beside the classes and channels that are read from the model. The
    network is built once from the description; it must have the modules of `model`, with their settings
    (rates of dropout and stochastic depth too), and give the same outputs. A tensor that has two names is
    written under both.

    With only="attention" the file is an adapter: it has what was added to the network or trained in it, and
    the name and the digest of the weights of its base, which `load` then needs. That is what differs from
    `base`, the network without attention that it was made from or a file of its weights; without `base`, the
    attention, the head, whatever has requires_grad, and the statistics of batch norms.

    Raises RequestError where it does not, or for arguments of any other form, and DiskError where `path`
    cannot be written.
    """
    if only not in (None, "attention") or (base is not None and only is None):
        raise RequestError(f"only={only!r}: expected 'attention', with base= or without, or neither of them")
    model = unwrap(model)
    declared = timm_config(model)
    guessed = backbone == AUTO
    if guessed:
        backbone = declared.get("architecture")
    call = call_of(model, backbone, backbone_args or {}) if backbone else None
    classes = declared.get("label_names") if classes is None else classes
    if isinstance(classes, list | tuple) and not classes:
        classes = None
    if classes is not None:
        check_classes(classes, call.outputs if call else timm_outputs(model))
    images = (
        declared_preprocessing(model)
        if preprocessing is None
        else read_preprocessing(preprocessing, _known_channels(model))
    )
    kind, attention = type(model).__name__, describe_attention(model)
    custom = custom_mechanisms(model)
    sources = {name: one.sources for name, one in custom.items() if one.sources}
    about = Description(kind, call, attention, classes, images, removed_own(model), sources)
    tensors = _tensors(model)
    if only:
        tensors, made_on = split(model, tensors, base)
        about = replace(about, base=made_on)
    text = about.to_json()
    description = Description.from_json(json.loads(text))  # as whoever loads the file reads it
    if description.backbone and not only:
        try:
            check_rebuild(model, description.backbone, description, tensors)
        except OtherNetworkError:
            if not guessed:
                raise
            text = replace(about, backbone=None).to_json()
    if nameless := custom.keys() - sources.keys():
        warnings.warn(
            f"the source of {listing(sorted(nameless))} is in no file that can be kept: to load this "
            "network, pass the class or the function again, as attention=",
            stacklevel=2,
        )
    write_bytes(Path(path), safetensors.torch.save(tensors, {KEY: text}))


def load(
    path: str | Path,
    model: nn.Module | None = None,
    *,
    device: str | torch.device = "cpu",
    base: nn.Module | None = None,
    attention: CustomClass | Sequence[CustomClass] | None = None,
    trust_code: bool = False,
) -> nn.Module:
    """Rebuild the network in `path` with its attention and its weights, in eval mode, on `device`.

    `path` is a file that `save` wrote, or a folder with one: a run of a study, a download from the hub. The
    result has the classes (`label_names`) and the preprocessing in its `pretrained_cfg`, where
    `timm.data.resolve_model_data_config` reads them. `model` is the network without attention, for one that
    foveate cannot build; it is filled and returned. The caller's random generators are not used.

    An adapter (`save` with only="attention") is put into `base`, the network without attention that it was
    made on, with its weights, which is returned.

    Attention that is not foveate's needs its code: `attention` is the class, or its place, as it was attached
    (mine.py:MyAttention), or several of them. The file holds the source of such classes; it runs only with
    `trust_code`.

    Raises RequestError for a file that `save` did not write or that is of another network, and for an unknown
    device.
    """
    _refuse_device(device)
    path = find_weights(Path(path))
    tensors, metadata = read_safetensors(path)
    description = read_description(metadata, path, tensors)
    kind, call = description.network, description.backbone
    if (description.base is None) != (base is None):
        raise RequestError(_adapter_refusal(path, description))
    if base is not None:
        model = base
    if model is None and call is None:
        raise RequestError(
            f"{path} holds a {kind}, which foveate cannot build: "
            + remedy(
                python=f"pass the network without attention, as in foveate.load(path, model={kind}(…))",
                command="commands take networks that were saved with the name of a backbone",
            )
        )
    if model is not None and (unwrap(model) is not model or attached(model)):
        raise RequestError(
            f"{'model' if base is None else 'base'}={type(model).__name__}(…) is compiled, parallel, or has "
            "attention already: pass the network without attention, to which that of the file is attached"
        )
    names = [group.name for group in description.attention]
    custom = find_custom_code(path, names, description.sources, given=attention, trust_code=trust_code)
    if base is not None and description.base is not None:
        check_base(base, description.base, tensors, description.own_removed, path)
    try:
        with built_within(tensors):
            if model is not None:
                if description.own_removed:
                    remove_own(model, description.own_removed)
                network = put_attention(model, description.attention, custom)
            else:
                assert call is not None
                _compare_shapes(call, description, custom, tensors)
                network = rebuild(call, description.attention, custom, description.own_removed)
        if base is not None:
            fill_adapter(network, tensors)
            assert description.base is not None
            check_probe(network, description.base, path)
        elif check_weights(network, tensors):
            raise RequestError("it describes attention whose weights it does not hold: save it again")
        else:
            fill(network, tensors)
    except Exception as error:  # modules of one's own raise what they like
        if model is not None and (attached(model) or removed_own(model)):
            detach(model)
        raise RequestError(f"{path}: {error}") from error
    forget_own(network)  # the file has no weights for it
    _declare(network, description)
    return network.to(device).eval()


def _adapter_refusal(path: Path, description: Description) -> str:
    """Say that an adapter needs its base, or that a whole network needs none."""
    if description.base is None:
        return f"{path} holds a whole network: leave out base=, or pass model= where foveate cannot build it"
    return f"{path} is an adapter for {description.base.name}, whose weights it does not hold: " + remedy(
        python="pass the network without attention, with these weights, as base=",
        command="load it in Python, with base=, and save the whole network",
    )


def _compare_shapes(
    call: BackboneCall,
    description: Description,
    custom: Mapping[str, CustomMechanism],
    tensors: Mapping[str, Tensor],
) -> None:
    """Raise RequestError where the described network is not that of `tensors`, before it takes memory.

    A network that cannot be built on the meta device is compared once it is built.
    """
    try:
        shapes = rebuild(call, description.attention, custom, description.own_removed, device="meta")
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
    """Return copies of the tensors of `model` on the CPU; in a safetensors file none may share memory."""
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


def _known_channels(model: nn.Module) -> int | None:
    convolutions = any(isinstance(module, nn.Conv2d) for module in model.modules())
    return input_channels(model) if convolutions else None


def _declare(network: nn.Module, description: Description) -> None:
    """Write classes and preprocessing to where timm looks for them."""
    declared = {**timm_config(network), **(description.preprocessing or {})}
    if description.classes is not None:
        declared |= {"label_names": description.classes, "num_classes": len(description.classes)}
    network.pretrained_cfg = network.default_cfg = declared  # type: ignore[assignment]
