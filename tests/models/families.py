"""The families of networks that attention goes into by name, a small member of each."""

import functools
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import timm
import torch
import torchvision
from torch import nn

import foveate
from foveate.attention import MECHANISMS
from foveate.models.sites.find import Site, sites

FAMILIES: dict[tuple[str, str], str] = {
    ("ResNet", "timm"): "resnet18",
    ("ResNet", "torchvision"): "resnet18",
    ("ResNeXt", "timm"): "resnext50_32x4d",
    ("ResNeXt", "torchvision"): "resnext50_32x4d",
    ("Wide-ResNet", "timm"): "wide_resnet50_2",
    ("Wide-ResNet", "torchvision"): "wide_resnet50_2",
    ("RegNet", "timm"): "regnety_002",
    ("RegNet", "torchvision"): "regnet_y_400mf",
    ("ConvNeXt", "timm"): "convnext_atto",
    ("ConvNeXt", "torchvision"): "convnext_tiny",
    ("MobileNetV2", "timm"): "mobilenetv2_100",
    ("MobileNetV2", "torchvision"): "mobilenet_v2",
    ("MobileNetV3", "timm"): "mobilenetv3_small_100",
    ("MobileNetV3", "torchvision"): "mobilenet_v3_small",
    ("EfficientNet", "timm"): "efficientnet_b0",
    ("EfficientNet", "torchvision"): "efficientnet_b0",
    ("ShuffleNetV2", "torchvision"): "shufflenet_v2_x0_5",
    ("DenseNet", "timm"): "densenet121",
    ("DenseNet", "torchvision"): "densenet121",
    ("ViT", "timm"): "vit_small_patch16_224",
    ("ViT", "torchvision"): "vit_b_16",
    ("Swin", "timm"): "swin_tiny_patch4_window7_224",
    ("Swin", "torchvision"): "swin_t",
    ("MaxViT", "timm"): "maxvit_rmlp_pico_rw_256",
    ("CoAtNet", "timm"): "coatnet_pico_rw_224",
    ("EfficientFormer", "timm"): "efficientformer_l1",
    ("EfficientFormerV2", "timm"): "efficientformerv2_s0",
    ("EfficientViT (MIT)", "timm"): "efficientvit_b0",
    ("EfficientViT (MSRA)", "timm"): "efficientvit_m0",
    ("FastViT", "timm"): "fastvit_t8",
    ("MobileViT", "timm"): "mobilevit_xxs",
}


class Images(NamedTuple):
    """What the tests run a family on, and the arguments that it is built with for that."""

    side: int = 32
    odd: tuple[int, int] | None = (45, 37)  # None: the network takes no other size
    arguments: Mapping[str, Any] = MappingProxyType({})


IMAGES: dict[tuple[str, str], Images] = {
    ("ViT", "timm"): Images(
        odd=(45, 37), arguments={"img_size": 32, "dynamic_img_size": True, "dynamic_img_pad": True}
    ),
    ("ViT", "torchvision"): Images(odd=None, arguments={"image_size": 32}),
    ("Swin", "timm"): Images(odd=(44, 36), arguments={"img_size": 32, "strict_img_size": False}),
    ("MaxViT", "timm"): Images(64, None, {"img_size": 64}),
    ("CoAtNet", "timm"): Images(64, None, {"img_size": 64}),
    ("EfficientFormer", "timm"): Images(224, None),
    ("EfficientFormerV2", "timm"): Images(64, None, {"img_size": 64}),
    ("EfficientViT (MSRA)", "timm"): Images(64, None, {"img_size": 64}),
}


def images_of(family: str, library: str) -> Images:
    return IMAGES.get((family, library), Images())


def create(family: str, library: str, **arguments: Any) -> nn.Module:
    return (timm.create_model if library == "timm" else torchvision.models.get_model)(
        FAMILIES[family, library], **arguments
    )


def without_memory(family: str, library: str) -> nn.Module:
    """The network on the meta device: its modules and its shapes alone."""
    if (family, library) == ("RegNet", "torchvision"):  # whose constructor reads the values of tensors
        return create(family, library).to("meta")
    with torch.device("meta"):
        return create(family, library)


@functools.lru_cache(maxsize=2)
def build(family: str, library: str) -> nn.Module:
    """The network in eval, with running statistics that are not those of the start.

    Of the two widest families, one block a stage is kept, and of ViTs three blocks.
    """
    torch.manual_seed(0)
    images = images_of(family, library)
    model = create(family, library, **images.arguments)
    if family in ("ResNeXt", "Wide-ResNet"):
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            setattr(model, stage, getattr(model, stage)[:1])
    if family == "ViT":
        stack = model.blocks if library == "timm" else model.encoder.layers
        del stack[3:]
    for module in model.modules():
        # What starts at 0 would hide what stands before it: timm's zero_init_last, the head of a ViT.
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.xavier_uniform_(module.weight)
    side = max(images.side, 64) if images.odd else images.side
    with torch.no_grad():
        model.train()(torch.rand(4, 3, side, side))
    return model.eval()


def place(model: nn.Module, mechanism: str) -> str:
    """The mechanism's own place, or the stages' ends where there are no residual blocks."""
    return MECHANISMS[mechanism].where if sites(model, "block") else "stage"


def options(mechanism: str, chosen: list[Site]) -> dict[str, Any]:
    """A bottleneck that leaves something of the narrowest site, and little of the widest."""
    accepted = inspect.signature(MECHANISMS[mechanism].module).parameters
    return {"reduction": min(site.channels for site in chosen)} if "reduction" in accepted else {}


def attach(model: nn.Module, mechanism: str, **arguments: Any) -> nn.Module:
    where = place(model, mechanism)
    return foveate.attach(
        model, mechanism, where=where, **options(mechanism, sites(model, where)), **arguments
    )
