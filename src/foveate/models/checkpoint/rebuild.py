"""A network built again from its description, without opening or fetching any other file."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import timm
import torch
from torch import nn

from foveate.attention.custom import CustomMechanism
from foveate.errors import RequestError, unknown_name
from foveate.models.backbones.call import BackboneCall, record_call
from foveate.models.backbones.names import DETECTION, SEGMENTATION, TORCHVISION, torchvision_names
from foveate.models.backbones.scaling import create_timm
from foveate.models.backbones.torchvision import create_torchvision
from foveate.models.checkpoint.attention_groups import AttentionGroup, put_attention
from foveate.models.checkpoint.size_limits import TooLargeError
from foveate.models.sites.attach import attached, detach
from foveate.models.sites.own import remove_own

__all__ = ["rebuild"]

REACHING_OUT = ("pretrained", "weights", "checkpoint", "state_dict", "cache_dir")
"""How arguments begin that fetch or open other files: a file from elsewhere has no business there."""

NOT_IN_A_FILE = {"features_from"}
"""Arguments of detectors and segmenters that no file can hold."""


def rebuild(
    call: BackboneCall,
    attention: Sequence[AttentionGroup],
    custom: Mapping[str, CustomMechanism],
    own_removed: Sequence[str] = (),
    *,
    device: str = "cpu",
) -> nn.Module:
    """Build the backbone by `call`, and `attention` in it, with weights drawn anew; on "meta", shapes alone.

    `custom` are the mechanisms that are not foveate's. The network's own attention is taken out at the paths
    `own_removed`.

    Raises RequestError where timm or torchvision cannot build it, or would open other files for it.
    """
    build = _builder(call)
    # The caller's random numbers stay as they are.
    with torch.random.fork_rng(devices=[]), torch.device(device):
        try:
            network = build()
        except TooLargeError:
            raise
        except Exception as error:  # timm and torchvision raise what they like
            raise RequestError(f"cannot build {call}: {error}") from error
        record_call(network, call)
        if attached(network):  # a registered name brings its own, at the default place
            detach(network)
        if own_removed:
            remove_own(network, own_removed)
        return put_attention(network, attention, custom, device=device)


def _builder(call: BackboneCall) -> Callable[[], nn.Module]:
    """Return what builds the backbone; raise RequestError where it would open other files."""
    name, plain = call.name, call.name.removeprefix(TORCHVISION)
    if name.startswith((DETECTION, SEGMENTATION)):
        return _dense_builder(call)
    reaching = [argument for argument in call.args if argument.startswith(REACHING_OUT)]
    if ":" in plain or "/" in plain or reaching:
        raise RequestError(
            f"{call} reaches for other files: a backbone is a registered name, and no argument of it begins "
            f"with {', '.join(REACHING_OUT)}"
        )
    if name == plain:
        if not timm.is_model(name):
            raise RequestError(f"cannot build {name}: {unknown_name('backbone', name, timm.list_models())}")
        return partial(create_timm, name, **call.args)
    import torchvision

    if plain not in torchvision_names():
        if plain in torchvision.models.list_models(module=torchvision.models.segmentation):
            return partial(create_torchvision, plain, weights_backbone=None, **call.args)
        if plain in torchvision.models.list_models():  # detection, for one, fetches backbones by itself
            raise RequestError(
                f"{name} is neither a classifier nor a segmenter, and reaches for other files: of "
                "torchvision, only what is in torchvision.models itself and in its segmentation is built. "
                "Pass backbone=None, and load with model="
            )
        raise RequestError(f"cannot build {name}: {unknown_name('backbone', plain, torchvision_names())}")
    return partial(create_torchvision, plain, **call.args)


def _dense_builder(call: BackboneCall) -> Callable[[], nn.Module]:
    """Return what builds a detector or a segmenter, whose backbone opens no other files either."""
    from foveate.models.dense import create_detector, create_segmenter

    arguments, own = dict(call.args), call.args.get("backbone_args", [])
    backbone = arguments.pop("backbone", None)
    pairs = isinstance(own, list) and all(
        isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) for one in own
    )
    if not isinstance(backbone, str) or not pairs or set(arguments) & NOT_IN_A_FILE:
        raise RequestError(
            f"cannot build {call}: expected the name of a backbone, backbone_args as a list of names and "
            "values, and no network"
        )
    _builder(BackboneCall(backbone, dict(own)))
    create = create_detector if call.name.startswith(DETECTION) else create_segmenter
    return partial(create, call.name.partition("/")[2], backbone, **arguments)
