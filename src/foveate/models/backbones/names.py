"""Names of backbones: timm's (foveate's are registered there), or torchvision's, as `torchvision/NAME`.

timm and torchvision are imported only where the table of names is of other versions than theirs.
"""

from typing import NamedTuple

from foveate.errors import RequestError, unknown_name
from foveate.known_names import InstalledNames, installed_names, mechanism_names

__all__ = [
    "BACKBONES",
    "DETECTION",
    "SEGMENTATION",
    "TORCHVISION",
    "check_backbone",
    "registered_names",
    "torchvision_names",
]

TORCHVISION = "torchvision/"
"""The prefix of torchvision's names."""
DETECTION, SEGMENTATION = "detection/", "segmentation/"
"""The prefixes of foveate's detectors and segmenters, which have a backbone inside (models/dense)."""


BACKBONES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "cifar_resnet18",
    "cifar_resnet34",
    "cifar_resnet50",
    "cifar_resnet20",
    "cifar_resnet8",
    "convnext_tiny",
    "mobilenetv3_small_100",
    "mobilenetv3_large_100",
)
"""The backbones of maps, which foveate registers with each mechanism."""


TOKEN_BACKBONES = (
    "vit_small_patch16_224",
    "deit3_small_patch16_224",
    "swin_tiny_patch4_window7_224",
)
TOKEN_MECHANISMS = ("ca", "cbam", "dmsca", "se")
"""The backbones of tokens, and the mechanisms that foveate registers them with."""


class Registered(NamedTuple):
    """What a registered name stands for."""

    backbone: str
    mechanism: str


def registered_names() -> dict[str, Registered]:
    """Return the names BACKBONE_MECHANISM that foveate registers with timm."""
    pairs = [Registered(backbone, mechanism) for backbone in BACKBONES for mechanism in mechanism_names()]
    pairs += [
        Registered(backbone, mechanism) for backbone in TOKEN_BACKBONES for mechanism in TOKEN_MECHANISMS
    ]
    return {f"{one.backbone}_{one.mechanism}": one for one in pairs}


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers, without the prefix."""
    import torchvision

    return torchvision.models.list_models(module=torchvision.models)


def check_backbone(name: str) -> None:
    """Raise RequestError, with the nearest names, unless `name` is that of a network."""
    if known := installed_names():
        _check_in_table(name, known)
    else:
        _check_in_code(name)


def _check_in_table(name: str, known: InstalledNames) -> None:
    of_torchvision = [TORCHVISION + one for one in known.torchvision]
    if name.startswith(TORCHVISION):
        _check_name(name, name, of_torchvision)
        return
    plain, dot, tag = name.partition(".")
    registered = registered_names()
    _check_name(name, plain, [*known.timm, *registered, *of_torchvision])
    backbone = registered[plain].backbone if plain in registered else plain
    if dot and tag not in known.timm[backbone]:
        raise _wrong_tag(name, f"Invalid pretrained tag ({tag}) for {plain}.")


def _check_in_code(name: str) -> None:
    import timm

    of_torchvision = [TORCHVISION + one for one in torchvision_names()]
    if name.startswith(TORCHVISION):
        _check_name(name, name, of_torchvision)
        return
    if not timm.is_model(name):
        raise RequestError(unknown_name("backbone", name, [*timm.list_models(), *of_torchvision]))
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise _wrong_tag(name, str(error)) from error


def _check_name(given: str, plain: str, names: list[str]) -> None:
    if plain not in names:
        raise RequestError(unknown_name("backbone", given, names))


def _wrong_tag(name: str, fault: str) -> RequestError:
    return RequestError(f"backbone {name}: {fault} Leave out what follows the dot")
