from typing import Any

import pytest

from foveate.errors import RequestError
from foveate.studies.spec.making import make_study

DIGITS = {"data": "digits"}


def test_whole_networks_are_candidates_of_their_own() -> None:
    names = "cifar_resnet8,torchvision/shufflenet_v2_x0_5,convnext_tiny_sgfa"
    study = make_study(DIGITS | {"backbones": names, "seeds": 1}, {})
    assert study.backbone is None
    assert study.design.kind == "networks"
    assert study.name == "digits-networks"
    runs = study.runs("f")
    assert [run.backbone for run in runs] == names.split(",") == [run.attention.label for run in runs]
    assert study == make_study(DIGITS | {"backbones": names.split(","), "seeds": 1}, {})


def test_a_network_is_one_run_whether_it_stands_alone_or_not() -> None:
    alone = make_study(DIGITS | {"backbones": "cifar_resnet8", "seeds": 1}, {}).runs("f")
    plain = make_study(DIGITS | {"backbone": "cifar_resnet8", "attention": "none", "seeds": 1}, {}).runs("f")
    assert [run.id for run in alone] == [run.id for run in plain]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "the study names no attention: give one of attention"),
        ({"attention": "none"}, "the study names no backbone: give --backbone"),
        ({"attention": "none", "ablate": "dmsca"}, "names attention and ablate at once"),
        ({"backbone": "cifar_resnet8", "backbones": "resnet18"}, "names backbone and backbones"),
        ({"backbones": "resnet18,resnet18"}, "backbones names resnet18 more than once"),
        ({"backbones": 3}, "backbones 3: expected names"),
        ({"backbones": ","}, "backbones names nothing"),
        ({"backbones": [""]}, "backbones names nothing"),
        ({"backbones": "resnet81"}, "unknown backbone 'resnet81'. Did you mean 'resnet18'"),
        ({"backbones": "torchvision/resnet81"}, "unknown backbone 'torchvision/resnet81'. Did you mean"),
        ({"backbones": "resnet18", "control": "macs"}, "control needs mechanisms on one backbone"),
        (
            {"backbone": "cifar_resnet8", "attention": "se", "values": ["reduction=4"]},
            "values belong to sweep",
        ),
        ({"backbone": "cifar_resnet8", "attention": "se", "control": "size"}, "control = 'size'"),
    ],
)
def test_what_cannot_be_compared_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_study(DIGITS | settings, {})
