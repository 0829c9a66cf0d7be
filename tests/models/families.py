"""The families of networks that attention goes into by name, a small member of each."""

import functools
import inspect
from typing import Any

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
}


def create(family: str, library: str) -> nn.Module:
    return (timm.create_model if library == "timm" else torchvision.models.get_model)(
        FAMILIES[family, library]
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

    Of the two widest families, one block a stage is kept.
    """
    torch.manual_seed(0)
    model = create(family, library)
    if family in ("ResNeXt", "Wide-ResNet"):
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            setattr(model, stage, getattr(model, stage)[:1])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm's zero_init_last would hide what stands behind it
            nn.init.ones_(module.weight)
    with torch.no_grad():
        model.train()(torch.rand(4, 3, 64, 64))
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
