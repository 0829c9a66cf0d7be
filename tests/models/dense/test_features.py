"""Backbones that give their maps: which ones, with whose weights, and which networks are refused."""

import pytest
import timm
import torch
import torchvision

from foveate.errors import RequestError
from foveate.models.dense.features import copy_weights, create_features
from foveate.models.dense.norms import freeze_norms, group_norms
from foveate.models.dense.stages import freeze_stages

USUAL = (4, 8, 16, 32)


@pytest.mark.parametrize(
    ("backbone", "stride", "strides"),
    [
        ("resnet18", None, (2, *USUAL)),
        ("convnext_tiny", None, USUAL),
        ("swin_tiny_patch4_window7_224", None, USUAL),
        ("cifar_resnet20", None, (1, 2, 4)),
        ("cifar_resnet20", 8, (1, 2, 4)),
        ("mobilenetv3_large_100", 16, (2, 4, 8, 16)),
        ("resnet18_se", None, (2, *USUAL)),
        ("torchvision/resnet18", None, (2, *USUAL)),
        ("torchvision/resnet50", 8, (2, 4, 8)),
        ("torchvision/regnet_y_400mf", None, (2, *USUAL)),
        ("torchvision/mobilenet_v3_small", 16, (2, 4, 8, 16)),
        ("torchvision/swin_t", None, USUAL),
        ("torchvision/densenet121", None, (2, *USUAL)),
    ],
)
def test_maps_have_the_sizes_and_widths_that_are_stated(backbone, stride, strides):
    with torch.device("meta"):
        features = create_features(backbone, channels=4, stride=stride)
        maps = features.layout.maps(features.network.eval()(torch.zeros(1, 4, 224, 224)))
    assert features.layout.strides == strides
    stated = [(width, 224 // one) for width, one in zip(features.layout.channels, strides, strict=True)]
    assert [(one.shape[1], one.shape[2]) for one in maps] == stated


@pytest.mark.parametrize(
    ("backbone", "stride", "sentence"),
    [
        ("vit_small_patch16_224", None, "feature maps of several sizes"),
        ("torchvision/vit_b_16", None, "feature maps of several sizes"),
        ("torchvision/inception_v3", None, "feature maps of several sizes"),
        ("vit_small_patch16_224", 8, "cannot be dilated to maps of stride 8"),
        ("torchvision/vgg11", 8, "its last map has stride 32"),
        ("torchvision/convnext_tiny", 16, "a kernel of 2×2"),
        ("resnet81", None, "unknown backbone"),
    ],
)
def test_networks_without_such_maps_are_refused(backbone, stride, sentence):
    with pytest.raises(RequestError, match=sentence), torch.device("meta"):
        create_features(backbone, stride=stride)


@torch.no_grad()
def test_torchvision_maps_are_those_of_its_own_stages():
    torch.manual_seed(0)
    classifier = torchvision.models.resnet18().eval()
    features = create_features("torchvision/resnet18")
    copy_weights(features, classifier)
    x = images = torch.rand(1, 3, 64, 64)
    x = classifier.relu(classifier.bn1(classifier.conv1(x)))
    expected = [x]
    x = classifier.maxpool(x)
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        x = getattr(classifier, stage)(x)
        expected.append(x)
    assert all(map(torch.equal, features.network.eval()(images), expected))


@torch.no_grad()
def test_torchvision_resnets_are_dilated_as_torchvision_does():
    torch.manual_seed(0)
    own = torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True]).eval()
    features = create_features("torchvision/resnet50", stride=8)
    copy_weights(features, own)
    convolutions = [
        (one, other)
        for one, other in zip(own.modules(), features.network.network.modules(), strict=False)
        if isinstance(one, torch.nn.Conv2d)
    ]
    assert {one.stride == other.stride for one, other in convolutions} == {True}
    # torchvision dilates the first block of a stage by as much as the stage before.
    differing = [one for one, other in convolutions if one.dilation != other.dilation]
    assert len(differing) == 2


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["convnext_atto", "cifar_resnet20", "mobilenetv3_small_050"])
def test_weights_of_a_classifier_give_its_last_map(backbone):
    torch.manual_seed(0)
    classifier = timm.create_model(backbone).eval()
    features = create_features(backbone)
    copy_weights(features, classifier)
    images = torch.rand(1, 3, 64, 64)
    expected = classifier.forward_features(images)
    assert torch.equal(features.layout.maps(features.network.eval()(images))[-1], expected)


def test_weights_of_another_network_are_refused():
    with pytest.raises(RequestError, match="tensors of the backbone have no weights in this ResNet"):
        copy_weights(create_features("cifar_resnet20"), timm.create_model("resnet18"))


@pytest.mark.parametrize("trainable", [0, 2, 3, 5])
def test_stages_freeze_as_in_torchvision(trainable):
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    own = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        trainable_layers=trainable,
        norm_layer=torch.nn.BatchNorm2d,
    )
    features = create_features("torchvision/resnet18")
    freeze_stages(features, trainable)
    expected = {name: one.requires_grad for name, one in own.body.named_parameters()}
    found = {
        name.removeprefix("network."): one.requires_grad for name, one in features.network.named_parameters()
    }
    assert found == expected


def test_more_stages_than_there_are_cannot_learn():
    with pytest.raises(RequestError, match="expected a whole number from 0 to 3"):
        freeze_stages(create_features("cifar_resnet20"), 4)


@torch.no_grad()
@pytest.mark.parametrize("backbone", ["cifar_resnet8", "mobilenetv3_small_050"])
def test_frozen_norms_give_the_same_maps_in_training_too(backbone):
    torch.manual_seed(0)
    features = create_features(backbone)
    images = torch.rand(4, 3, 64, 64)
    features.network.train()(images)  # the running statistics are no longer 0 and 1
    expected = features.network.eval()(images)
    keys = {key for key in features.network.state_dict() if not key.endswith("num_batches_tracked")}
    freeze_norms(features.network)
    assert features.network.state_dict().keys() == keys
    for module in features.network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for found, one in zip(features.network.train()(images), expected, strict=True):
        torch.testing.assert_close(found, one, rtol=1e-4, atol=1e-4)


def test_group_norms_replace_all_batch_norms_and_train():
    features = create_features("mobilenetv3_small_050")
    group_norms(features.network)
    norms = [one for one in features.network.modules() if isinstance(one, torch.nn.GroupNorm)]
    assert not any(isinstance(one, torch.nn.BatchNorm2d) for one in features.network.modules())
    assert all(one.num_channels // one.num_groups > 1 for one in norms)
    assert max(one.num_groups for one in norms) <= 32
    features.network.train()(torch.rand(1, 3, 64, 64))[-1].sum().backward()
    assert all(one.weight.grad is not None for one in norms)
