"""Detectors: equal to torchvision's own, for any channels, and what they refuse."""

import pytest
import torch
from dense_networks import TARGETS, images, small
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

import foveate
from foveate.errors import RequestError
from foveate.models.dense import create_detector

OWN = {"fasterrcnn": FasterRCNN, "fcos": FCOS, "retinanet": RetinaNet}


def of_torchvision(name: str) -> nn.Module:
    extra = {} if name == "fasterrcnn" else {"returned_layers": [2, 3, 4]}
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        trainable_layers=5,
        norm_layer=nn.BatchNorm2d,
        extra_blocks=None if name == "fasterrcnn" else LastLevelP6P7(256, 256),
        **extra,
    )
    thresholds = {"box_score_thresh" if name == "fasterrcnn" else "score_thresh": 0.0}
    return OWN[name](backbone, num_classes=3, min_size=64, max_size=107, **thresholds)


@pytest.mark.parametrize("name", OWN)
def test_losses_and_detections_are_those_of_torchvisions_own(name):
    torch.manual_seed(0)
    own = of_torchvision(name)
    sizes = {"box_score_thresh" if name == "fasterrcnn" else "score_thresh": 0.0}
    detector = create_detector(
        name, "torchvision/resnet18", classes=2, image_size=64, anchor_scale=1.0, **sizes
    )
    renamed = {key.replace("body.", "body.network."): value for key, value in own.state_dict().items()}
    detector.load_state_dict(renamed)  # all of them, and no others
    losses = []
    for network in (own, detector):
        torch.manual_seed(1)  # proposals are sampled
        losses.append(network.train()(list(images()), TARGETS))
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(losses[0][key], losses[1][key]) for key in losses[0])
    with torch.no_grad():
        expected, found = own.eval()(list(images())), detector.eval()(list(images()))
    assert all(len(one["boxes"]) for one in expected)
    for one, other in zip(expected, found, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


@torch.no_grad()
def test_a_batch_is_a_list_of_its_images():
    detector = small("fasterrcnn", "cifar_resnet8").eval()
    for one, other in zip(detector(images()), detector(list(images())), strict=True):
        assert len(one["boxes"])
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", OWN)
def test_images_of_other_channels(name):
    detector = small(name, "cifar_resnet8", channels=1, mean=[0.5], std=[0.2])
    loss = sum(detector(images(1), TARGETS).values())
    loss.backward()
    assert loss.isfinite()
    assert detector.backbone.body.conv1.weight.grad.abs().sum() > 0


def test_anchors_are_as_large_in_proportion_to_the_image():
    # torchvision's for a short side of 800 pixels are 32 to 512 pixels.
    detector = small("fasterrcnn", "resnet18", image_size=400)
    assert detector.rpn.anchor_generator.sizes == ((16.0,), (32.0,), (64.0,), (128.0,), (256.0,))
    assert (detector.transform.min_size, detector.transform.max_size) == ((400,), 666)


def test_weights_of_a_classifier_fill_the_backbone_and_three_stages_learn():
    import timm

    torch.manual_seed(5)
    classifier = timm.create_model("resnet18")
    detector = small("retinanet", "resnet18", features_from=classifier, norm="frozen")
    body = detector.backbone.body
    assert torch.equal(body.conv1.weight, classifier.conv1.weight)
    assert torch.equal(body.layer4[1].bn2.running_var, classifier.layer4[1].bn2.running_var)
    learning = {name.split(".")[0] for name, one in body.named_parameters() if one.requires_grad}
    assert learning == {"layer2", "layer3", "layer4"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"norm": "layer"}, "unknown norm 'layer'"),
        ({"classes": 0}, "classes=0"),
        ({"mean": [0.5]}, "expected 3 numbers"),
        ({"std": [0.5, 0.5, 0]}, "expected 3 numbers"),
        ({"anchor_scale": 0}, "anchor_scale=0"),
        ({"box_batch_size": 4}, "Did you mean 'box_batch_size_per_image'"),
        ({"representation_size": 0}, "representation_size=0"),
        ({"trainable_stages": 9}, "from 0 to 3"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(RequestError, match=sentence):
        small("fasterrcnn", "cifar_resnet8", **options)


def test_unknown_detectors_and_pyramids_too_narrow_for_fcos():
    with pytest.raises(RequestError, match="unknown detector 'yolo'"):
        create_detector("yolo", "resnet18", classes=1)
    with pytest.raises(RequestError, match="a multiple of 32, from 64, for fcos"):
        small("fcos", "cifar_resnet8", fpn_channels=32)


@pytest.mark.parametrize(("name", "most"), [("fasterrcnn", 1.2e6), ("fcos", 0.8e6), ("retinanet", 0.8e6)])
def test_the_small_size_has_narrower_layers_which_options_override(name, most):
    def built(**options):
        return create_detector(name, "cifar_resnet8", classes=2, image_size=64, **options)

    small_one, wide = built(size="small"), built(size="small", fpn_channels=128)
    assert small_one.backbone.out_channels == 64
    assert sum(parameter.numel() for parameter in small_one.parameters()) < most
    assert wide.backbone.out_channels == 128
    if name == "fasterrcnn":
        rpn, heads = small_one.rpn, small_one.roi_heads
        kept = (rpn._pre_nms_top_n, rpn._post_nms_top_n)
        assert kept == ({"training": 500, "testing": 300}, {"training": 200, "testing": 150})
        assert heads.fg_bg_sampler.batch_size_per_image == 128
        assert heads.box_head.fc7.out_features == 256
        assert built(size="small", representation_size=32).roi_heads.box_head.fc7.out_features == 32


def test_a_small_detector_is_built_again_from_its_file(tmp_path):
    network = create_detector("fcos", "cifar_resnet8", classes=2, image_size=64, size="small")
    foveate.save(network, tmp_path / "fcos.safetensors")
    again = foveate.load(tmp_path / "fcos.safetensors")
    assert again.backbone.out_channels == 64
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in network.state_dict().items())
