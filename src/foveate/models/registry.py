"""The names registered with timm: BACKBONE_MECHANISM, for every mechanism in every backbone."""

from collections.abc import Callable
from typing import Any

from timm.models import generate_default_cfgs, get_arch_pretrained_cfgs, model_entrypoint, register_model
from torch import nn

from foveate.attention import list_attention
from foveate.models import cifar_resnet  # noqa: F401  registers the cifar_resnets, which BACKBONES names
from foveate.models.attach import attach

__all__: list[str] = []  # timm adds the names

BACKBONES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "cifar_resnet18",
    "cifar_resnet34",
    "cifar_resnet50",
    "cifar_resnet20",
    "convnext_tiny",
)

# A name's pretrained weights, tag by tag, are its backbone's.
default_cfgs = generate_default_cfgs(
    {
        tagged.replace(backbone, f"{backbone}_{mechanism}", 1): cfg
        for backbone in BACKBONES
        for mechanism in list_attention()
        for tagged, cfg in get_arch_pretrained_cfgs(backbone).items()
    }
)


def _entrypoint(backbone: str, mechanism: str) -> Callable[..., nn.Module]:
    def create(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        model = model_entrypoint(backbone)(pretrained=pretrained, **kwargs)
        model.pretrained_cfg["architecture"] = create.__name__
        return attach(model, mechanism)

    create.__name__ = create.__qualname__ = f"{backbone}_{mechanism}"
    create.__doc__ = (
        f"{backbone} with {mechanism} at its paper's place; pretrained weights are the backbone's."
    )
    return create


for _backbone in BACKBONES:
    for _mechanism in list_attention():
        globals()[f"{_backbone}_{_mechanism}"] = register_model(_entrypoint(_backbone, _mechanism))
