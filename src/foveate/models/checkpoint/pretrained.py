"""Backbones with pretrained weights from a file of any origin, adapted to classes and channels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.backbones.arguments import Arguments
from foveate.models.backbones.create import create_backbone, own_image_size
from foveate.models.backbones.head import declared_heads
from foveate.models.backbones.names import TORCHVISION
from foveate.models.backbones.preprocessing import Preprocessing, declared_preprocessing
from foveate.models.backbones.torchvision import current_keys, first_convolution
from foveate.models.checkpoint.description import KEY, read_description
from foveate.models.checkpoint.state_dicts import misfits, without_wrappers
from foveate.models.checkpoint.weight_files import is_safetensors, read_safetensors, read_tensors
from foveate.models.sites.forward_pass import timm_config

__all__ = ["create_pretrained", "weights_preprocessing"]


def create_pretrained(
    name: str,
    weights: Path,
    *,
    classes: int | None = None,
    channels: int | None = None,
    image_size: int | None = None,
) -> nn.Module:
    """Build the network called `name` as `create_backbone` does, and load the file `weights` into it.

    `classes` and `channels` None are those of the weights. For another number of classes the head keeps the
    weights that it was built with, drawn from torch's global generator. Weights of
    the first convolution for 3 channels are summed or repeated for another number, as timm does. Weights in
    an older layout of timm's or of the authors' are converted by timm.

    Raises:
        RequestError: the file holds no weights, or those of another network; the first keys that differ are
            named.
    """
    tensors: Mapping[str, Tensor] = read_tensors(weights)
    if classes is None or channels is None:
        with torch.device("meta"):
            shapes = create_backbone(name, classes=2, for_weights=True)
        named = without_wrappers(tensors, shapes)
        classes = classes or _head_rows(shapes, named) or _declared_classes(shapes)
        channels = channels or _stem_channels(shapes, name, named) or 3
    network = create_backbone(
        name, classes=classes, channels=channels, image_size=image_size, for_weights=True
    )
    tensors = without_wrappers(tensors, network)
    fitting = _adapted(network, name, tensors)
    found = misfits(network, fitting)
    if found.faults:
        converted = _converted(network, name, tensors, image_size)
        fitting = {} if converted is None else _adapted(network, name, converted)
        if converted is None or misfits(network, fitting).faults:
            size = own_image_size(name)
            other_size = "" if image_size in (None, size) else f", or give --image-size {size}"
            raise RequestError(
                f"{weights} does not hold the weights of {name}: {found.in_words()}. Give the file of "
                f"a {name} without attention{other_size}"
            )
    state = network.state_dict()  # with the versions of its modules, which MNASNet asks for
    state.update(fitting)
    network.load_state_dict(state)
    return network


def weights_preprocessing(name: str, weights: Path) -> Preprocessing:
    """Return how images are prepared for the file `weights`, of the network called `name`.

    A file that `foveate.save` wrote says so itself; for others it is what the network declares.
    """
    if is_safetensors(weights):
        tensors, metadata = read_safetensors(weights)
        if KEY in metadata:
            described = read_description(metadata, weights, tensors).preprocessing
            if described is not None:
                return described
    with torch.device("meta"):
        declared = declared_preprocessing(create_backbone(name, classes=2, for_weights=True))
    size = own_image_size(name)
    return declared or Preprocessing(
        input_size=(3, size, size), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )


def _adapted(network: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `tensors` with the head of `network` where theirs is of another size, and for its channels."""
    own, kept = network.state_dict(), dict(tensors)
    if name.startswith(TORCHVISION):
        kept = current_keys(kept, own)
    for head in declared_heads(network):
        keys = [key for key in own if key.startswith(f"{head}.")]
        rows = {len(kept[key]) for key in keys if key in kept}
        offset = timm_config(network).get("label_offset") or 0
        if offset and rows == {len(own[keys[0]]) + offset}:  # the first classes are the background
            kept |= {key: kept[key][offset:] for key in keys if key in kept}
        elif any(key not in kept or kept[key].shape != own[key].shape for key in keys):
            kept |= {key: own[key] for key in keys}
    for path in _stems(network, name):
        key = f"{path}.weight"
        weight, channels = kept.get(key), own[key].shape[1]
        if weight is not None and weight.ndim == 4 and weight.shape[1] == 3 != channels:
            kept[key] = adapt_input_conv(channels, weight)
    return kept


def _converted(
    network: nn.Module, name: str, tensors: Mapping[str, Tensor], image_size: int | None
) -> Mapping[str, Tensor] | None:
    """Return `tensors` as timm converts them for its network called `name`; None if it refuses them.

    They are loaded, every key of them, into a network of their own channels and classes.
    """
    if name.startswith(TORCHVISION):
        return None
    classes = _head_rows(network, tensors) or _declared_classes(network)
    overlay = {"state_dict": dict(tensors), "num_classes": classes, "label_offset": None}
    size = own_image_size(name) if image_size is None else image_size
    sizes: Arguments = {"img_size": size} if timm_config(network).get("fixed_input_size") else {}
    with torch.random.fork_rng(devices=[]):
        try:
            source = timm.create_model(
                name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes, **sizes
            )
        except Exception:  # each of timm's converters fails in its own way
            return None
    return source.state_dict()


def _head_rows(network: nn.Module, tensors: Mapping[str, Tensor]) -> int | None:
    """Return the number of classes that `tensors` have a head for, if they have one."""
    weights = (tensors.get(f"{head}.weight") for head in declared_heads(network))
    return next((len(weight) for weight in weights if weight is not None), None)


def _stem_channels(network: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> int | None:
    """Return the number of channels that `tensors` have a first convolution for, if they have one."""
    stems = (tensors.get(f"{path}.weight") for path in _stems(network, name))
    return next((stem.shape[1] for stem in stems if stem is not None and stem.ndim == 4), None)


def _declared_classes(network: nn.Module) -> int:
    return int(timm_config(network).get("num_classes") or 1000)


def _stems(network: nn.Module, name: str) -> tuple[str, ...]:
    """Return the paths of the convolutions that take the images."""
    if name.startswith(TORCHVISION):
        return (first_convolution(network)[0],)
    stems: Any = timm_config(network).get("first_conv") or ()
    return (stems,) if isinstance(stems, str) else tuple(stems)
