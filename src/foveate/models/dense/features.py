"""Backbones that give their feature maps, for detectors and segmenters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foveate.errors import RequestError, first_line, shortened
from foveate.models.backbones.names import TORCHVISION, check_backbone
from foveate.models.backbones.scaling import create_timm
from foveate.models.dense.torchvision_features import NotDilatedError, create_torchvision_features
from foveate.models.sites.architectures import CHANNELS_LAST
from foveate.models.sites.find import look_up

__all__ = ["Features", "MapLayout", "copy_weights", "create_features"]


@dataclass(frozen=True)
class MapLayout:
    """Which maps of those that a network returns are meant, the last one of each stride, the finest first.

    Attributes:
        picked: their places in the list that the network returns.
        channels: of each.
        strides: of each, in pixels of the image, rising.
        channels_last: the network gives maps (B, H, W, C).
    """

    picked: tuple[int, ...]
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    channels_last: bool = False

    def maps(self, given: Sequence[Tensor]) -> list[Tensor]:
        """Return the maps (B, C, H, W) of those that the network gave."""
        chosen = [given[index] for index in self.picked]
        return [one.permute(0, 3, 1, 2).contiguous() for one in chosen] if self.channels_last else chosen

    def last(self, count: int) -> "MapLayout":
        """Return the `count` coarsest maps alone."""
        return MapLayout(
            self.picked[-count:], self.channels[-count:], self.strides[-count:], self.channels_last
        )


@dataclass(frozen=True)
class Features:
    """A backbone that gives feature maps: from images (B, C, H, W) to a list, of which `layout` are meant."""

    network: nn.Module
    layout: MapLayout


def create_features(
    backbone: str,
    *,
    channels: int = 3,
    stride: int | None = None,
    backbone_args: Mapping[str, Any] | None = None,
) -> Features:
    """Build the network called `backbone` without its classifier, for images of `channels`.

    It is a name of timm's, or "torchvision/NAME". With `stride`, no map has a larger one: what would make
    maps smaller is replaced by dilation (Chen et al. 2017). `backbone_args` are the constructor's.

    Raises:
        RequestError: an unknown name, a network that does not give maps of several sizes, or one that cannot
            be dilated.
    """
    check_backbone(backbone)
    arguments = dict(backbone_args or {})
    if backbone.startswith(TORCHVISION):
        network, widths, strides = _torchvision(backbone, channels, stride, arguments)
        last = look_up(CHANNELS_LAST, network.network, False)  # type: ignore[arg-type]
    else:
        network, widths, strides = _timm(backbone, channels, stride, arguments)
        last = str(getattr(network, "output_fmt", "")).upper().endswith("NHWC")
    picked = tuple(
        index
        for index, one in enumerate(strides)
        if one not in strides[index + 1 :]  # the last of each size
    )
    chosen = tuple(strides[index] for index in picked)
    if len(chosen) < 2 or list(chosen) != sorted(chosen):
        raise RequestError(_refusal(backbone, f"has maps of stride {', '.join(map(str, chosen))}"))
    if stride is not None and chosen[-1] > stride:
        raise RequestError(_not_dilated(backbone, stride, f"its last map has stride {chosen[-1]}"))
    layout = MapLayout(picked, tuple(widths[index] for index in picked), chosen, last)
    return Features(network, layout)


def copy_weights(features: Features, classifier: nn.Module) -> None:
    """Fill `features` with the weights of `classifier`, the network of the same name with its classifier.

    timm's networks of features have some modules under other names: `stages_0` for `stages.0`. They are
    matched.

    Raises:
        RequestError: a tensor of the features is not in the classifier, or has another shape there.
    """
    known = {_plain(key): value for key, value in classifier.state_dict().items()}
    own = features.network.state_dict()
    found = {key: known[name] for key in own if (name := _source(key, known)) is not None}
    missing = [key for key in own if key not in found or found[key].shape != own[key].shape]
    if missing:
        raise RequestError(
            f"{len(missing)} of {len(own)} tensors of the backbone have no weights in this "
            f"{type(classifier).__name__} ({shortened(missing)}): pass the classifier of the same name, "
            "built with the same arguments"
        )
    features.network.load_state_dict(found)


def _plain(key: str) -> str:
    return key.replace(".", "_")


def _source(key: str, known: Mapping[str, Tensor]) -> str | None:
    """Return the plain name of the tensor of a classifier that `key` of a network of features is."""
    names = (_plain(key), _plain(key.removeprefix("model.")), _plain(key.removeprefix("network.")))
    return next((name for name in names if name in known), None)


def _timm(
    backbone: str, channels: int, stride: int | None, arguments: Mapping[str, Any]
) -> tuple[nn.Module, list[int], list[int]]:
    wanted = {"features_only": True, "in_chans": channels, **arguments}
    try:
        if stride is not None:
            with torch.random.fork_rng(devices=[]), torch.device("meta"):
                undilated: Any = create_timm(backbone, **wanted)
    except Exception as error:  # each network refuses in its own way
        raise RequestError(_refusal(backbone, f"cannot give any ({first_line(error)})")) from error
    dilates = stride is not None and max(undilated.feature_info.reduction()) > stride
    try:
        network = create_timm(backbone, **wanted, **({"output_stride": stride} if dilates else {}))
    except Exception as error:  # and so do those without features
        fault = first_line(error)
        if dilates:
            raise RequestError(_not_dilated(backbone, stride, fault)) from error
        raise RequestError(_refusal(backbone, f"cannot give any ({fault})")) from error
    info: Any = network.feature_info
    return network, list(info.channels()), list(info.reduction())


def _torchvision(
    backbone: str, channels: int, stride: int | None, arguments: Mapping[str, Any]
) -> tuple[nn.Module, list[int], list[int]]:
    plain = backbone.removeprefix(TORCHVISION)
    with torch.no_grad():
        try:
            network = create_torchvision_features(plain, channels, stride, arguments)
        except NotDilatedError as error:
            raise RequestError(_not_dilated(backbone, stride, str(error))) from error
        except Exception as error:  # a network that is no chain of its children
            raise RequestError(_refusal(backbone, f"cannot give any ({first_line(error)})")) from error
    return network, list(network.channels), list(network.strides)


def _not_dilated(backbone: str, stride: int | None, fault: str) -> str:
    return (
        f"{backbone} cannot be dilated to maps of stride {stride} ({fault}): choose the segmenter unet or "
        "fpn, or a backbone such as resnet50"
    )


def _refusal(backbone: str, fault: str) -> str:
    return (
        f"a detector or a segmenter needs a backbone that gives feature maps of several sizes; {backbone} "
        f"{fault}: give e.g. resnet50 or convnext_tiny"
    )
