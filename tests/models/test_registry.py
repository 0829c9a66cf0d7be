"""The names that timm knows once foveate is imported."""

import pytest
import timm
import torch

import foveate
from foveate.models import attached
from foveate.models.registry import BACKBONES


def test_every_mechanism_in_every_backbone_has_a_name():
    names = {f"{backbone}_{mechanism}" for backbone in BACKBONES for mechanism in foveate.list_attention()}
    assert names <= set(timm.list_models())


@pytest.mark.parametrize("backbone", ["resnet18", "cifar_resnet20", "convnext_tiny"])
@pytest.mark.parametrize("mechanism", ["dmsca", "sgfa"])
def test_named_network_is_the_backbone_with_the_mechanism(backbone, mechanism):
    torch.manual_seed(0)
    named = timm.create_model(f"{backbone}_{mechanism}", num_classes=10, in_chans=1).eval()
    torch.manual_seed(0)
    built = foveate.attach(timm.create_model(backbone, num_classes=10, in_chans=1), mechanism).eval()
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(named(x), built(x))
    assert named.pretrained_cfg["architecture"] == f"{backbone}_{mechanism}"


def test_pretrained_loads_the_backbones_weights_and_adapts_the_head(tmp_path):
    backbone = timm.create_model("resnet18")
    torch.save(backbone.state_dict(), tmp_path / "resnet18.pth")
    overlay = {"file": str(tmp_path / "resnet18.pth")}
    model = timm.create_model("resnet18_se", pretrained=True, pretrained_cfg_overlay=overlay, num_classes=7)
    assert model.fc.out_features == 7
    assert len(attached(model)) == 8
    state = model.state_dict()
    for key, value in backbone.state_dict().items():
        if not key.startswith("fc."):
            assert torch.equal(state[key], value), key


def test_pretrained_tags_are_the_backbones():
    tags = [name.split(".")[1] for name in timm.list_models("resnet50", pretrained=True)]
    named = [name.split(".")[1] for name in timm.list_models("resnet50_dmsca", pretrained=True)]
    assert named == tags
    plain, attention = timm.get_pretrained_cfg("resnet50"), timm.get_pretrained_cfg("resnet50_dmsca")
    assert (attention.tag, attention.hf_hub_id) == (plain.tag, plain.hf_hub_id)
    assert timm.list_models("cifar_resnet18_se", pretrained=True) == []
