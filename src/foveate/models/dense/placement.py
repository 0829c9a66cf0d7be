"""Attention in detectors and segmenters: in the backbone, in the neck, or in both."""

from collections.abc import Collection
from typing import Any

from torch import nn

from foveate.errors import RequestError
from foveate.models.dense.names import DETECTION, SEGMENTATION, check_part
from foveate.models.sites.attach import attach, attached, detach
from foveate.models.sites.find import Site
from foveate.models.sites.given import MechanismLike

__all__ = ["attach_dense", "backbone_path", "neck_paths", "neck_sites"]

DECODER = "decoder"
BACKBONES = {DETECTION: "backbone.body", SEGMENTATION: "encoder.model"}
"""The paths of the backbones in foveate's detectors and segmenters."""


def backbone_path(model: nn.Module) -> str | None:
    """Return the path of the backbone in a detector or segmenter of foveate's; None for other networks."""
    built = getattr(model, "built_from", None)
    name = "" if built is None else str(built.name)
    return next((path for kind, path in BACKBONES.items() if name.startswith(kind)), None)


def neck_sites(model: nn.Module) -> list[Site]:
    """Return the sites in the neck of a detector or a segmenter, in the order of its modules.

    They are behind each output convolution of a feature pyramid (torchvision's detectors have one too); and
    behind each block of a U-Net's decoder, or at the end of any other decoder. In a segmenter the head
    follows.

    Raises:
        RequestError: `model` has neither a pyramid nor a decoder that is known.
    """
    places = _pyramid(model) or _decoder(model)
    if not places:
        raise RequestError(
            f"{type(model).__name__} has no neck that foveate knows, neither a feature pyramid nor a "
            "decoder: name modules with foveate.attach(model, …, at=[…])"
        )
    return [
        Site(path, channels, number, "stage", "after", path)
        for number, (path, channels) in enumerate(places, start=1)
    ]


def neck_paths(model: nn.Module) -> list[str]:
    """Return the paths of `neck_sites(model)`; RequestError as there."""
    return [site.path for site in neck_sites(model)]


def attach_dense(
    model: nn.Module,
    name: MechanismLike,
    part: str = "backbone",
    where: str | None = None,
    stages: int | Collection[int] | None = None,
    identity_init: bool = False,
    *,
    at: Any = None,
    exclude: str | Collection[str] | None = None,
    replace_own: bool = False,
    **options: Any,
) -> nn.Module:
    """Put the mechanism called `name` into a part of a detector or a segmenter, in place; return the model.

    "backbone" is `foveate.attach`, to which `where`, `stages`, `at`, `exclude` and `replace_own` belong;
    "neck" are the `neck_sites`; "both" are both. The weights of the network itself do not change, and
    attention is drawn from torch's global generator, that of the backbone first.

    Raises:
        RequestError: an unknown part, arguments of the backbone's with "neck", or whatever `attach` refuses;
            the model is then as it was.
    """
    check_part(part)
    of_backbone = (where, stages, at, exclude, replace_own or None)
    if part == "neck" and any(one is not None for one in of_backbone):
        raise RequestError(
            "where=, stages=, at=, exclude= and replace_own= choose places in the backbone: leave them out "
            'with part="neck"'
        )
    necks = neck_sites(model) if part != "backbone" else []
    if part != "neck":
        attach(
            model,
            name,
            where,
            stages,
            identity_init,
            at=at,
            exclude=exclude,
            replace_own=replace_own,
            **options,
        )
    if necks:
        try:
            attach(model, name, identity_init=identity_init, at=necks, **options)
        except Exception:
            if attached(model):
                detach(model)
            raise
    return model


def _pyramid(model: nn.Module) -> list[tuple[str, int]]:
    """Return the last convolution of each output of the feature pyramids, with its width."""
    found = []
    for path, module in model.named_modules():
        if type(module).__name__.startswith("FeaturePyramidNetwork"):
            for number, block in enumerate(module.layer_blocks):
                # A Sequential of a convolution and, where the pyramid has any, a norm.
                width = next(one for one in block.modules() if isinstance(one, nn.Conv2d)).out_channels
                last = list(dict(block.named_children()))[-1]
                found.append((f"{path}.layer_blocks.{number}.{last}", width))
    return found


def _decoder(model: nn.Module) -> list[tuple[str, int]]:
    """Return the places of the decoder of a segmenter with their width."""
    decoder: Any = getattr(model, DECODER, None)
    kind = type(decoder).__name__
    if kind.startswith("UnetDecoder"):
        return [
            (f"{DECODER}.blocks.{number}", block.conv2[0].out_channels)
            for number, block in enumerate(decoder.blocks)
        ]
    if kind.startswith("FPNDecoder"):
        return [(f"{DECODER}.merge", decoder.out_channels)]
    if kind.startswith("DeepLabV3PlusDecoder"):
        return [(f"{DECODER}.block2.2", decoder.block2[0][1].out_channels)]
    if kind.startswith("DeepLabV3Decoder"):
        return [(f"{DECODER}.layers.3", decoder.layers[1].out_channels)]
    return []
