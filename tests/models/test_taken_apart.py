"""Networks that a detector has taken apart: their sites, and attention in the stages that it froze."""

import itertools
import warnings

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.detection.backbone_utils import _mobilenet_extractor, _resnet_fpn_extractor

import foveate
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.sites.find import sites
from foveate.models.sites.target_layers import default_layer


def places(model: nn.Module, prefix: str = "") -> list[tuple[str, int, int]]:
    return [(site.path.removeprefix(prefix), site.stage, site.channels) for site in sites(model)]


def resnet_body(resnet: nn.Module) -> nn.Module:
    return _resnet_fpn_extractor(resnet, trainable_layers=3)


BODIES = {
    "resnet18": ("", resnet_body),
    "mobilenet_v3_small": ("features.", lambda network: _mobilenet_extractor(network, True, 3)),
    "mobilenet_v2": ("features.", lambda network: _mobilenet_extractor(network, True, 3)),
}


@pytest.mark.parametrize("name", BODIES)
def test_sites_of_a_detectors_body_are_those_of_the_network(name):
    before, take_apart = BODIES[name]
    network = torchvision.models.get_model(name)
    expected = places(network, before)
    assert places(take_apart(network), "body.") == expected


@pytest.mark.parametrize("name", ["resnet18", "regnety_002", "mobilenetv3_small_100", "efficientnet_b0"])
def test_sites_of_timms_features_are_those_of_the_network(name):
    assert places(timm.create_model(name, features_only=True)) == places(timm.create_model(name))


def test_sites_of_timms_flattened_features():
    network, features = (timm.create_model("convnext_atto", features_only=only) for only in (False, True))
    assert [(path.replace("stages_", "stages."), *rest) for path, *rest in places(features)] == places(
        network
    )


@pytest.mark.parametrize("mechanism", ["se", "eca"])  # eca has a convolution over channels, of stride (1,)
def test_attention_changes_no_site(mechanism):
    network = timm.create_model("mobilenetv3_small_100")
    expected = places(network)
    assert places(foveate.attach(network, mechanism, where="block")) == expected


def run(backbone: nn.Module) -> torch.Tensor:
    return backbone(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))["0"]


def test_attention_goes_into_a_detectors_backbone_and_learns_in_frozen_stages_too():
    torch.manual_seed(0)
    backbone = resnet_body(torchvision.models.resnet18(norm_layer=torchvision.ops.FrozenBatchNorm2d))
    before = run(backbone)
    with pytest.warns(UserWarning, match=r"2 of the 8 sites lie in frozen parts.*body\.layer1\.0\.bn2"):
        foveate.attach(backbone, "se", identity_init=True)
    assert torch.equal(run(backbone), before)
    run(backbone).sum().backward()
    gates = {path: module.gate.grad for path, module in attached(backbone).items()}
    assert gates["body.layer1.0.bn2.attention"] != 0
    assert all(gate is not None for gate in gates.values())
    assert not any(
        parameter.requires_grad
        for name, parameter in backbone.named_parameters()
        if "layer1" in name and ".attention." not in name
    )


def frozen_afterwards() -> nn.Module:
    torch.manual_seed(0)
    return resnet_body(foveate.attach(torchvision.models.resnet18(), "se", where="block"))


def test_attention_that_a_detector_froze_is_said_where_sites_are_listed():
    backbone = frozen_afterwards()
    with pytest.raises(
        RequestError, match=r"attention at 'body\.layer1\.0\.bn2' is frozen .requires_grad=False"
    ):
        foveate.sites(backbone)
    for module in attached(backbone).values():
        module.requires_grad_(True)
    assert len(foveate.sites(backbone, "block")) == 8


def test_frozen_attention_is_no_fault_where_nothing_learns():
    assert len(foveate.sites(frozen_afterwards().eval(), "block")) == 8
    assert len(foveate.sites(frozen_afterwards().requires_grad_(False), "block")) == 8


def test_attention_that_a_detector_froze_is_said_in_training():
    backbone = frozen_afterwards()
    with pytest.warns(UserWarning, match="parameters are frozen .requires_grad=False.*it will not learn"):
        run(backbone)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with torch.no_grad():
            run(backbone)
        run(backbone.eval())
        for module in attached(backbone).values():
            module.requires_grad_(True)
        run(backbone.train())
        run(resnet_body(foveate.attach(torchvision.models.resnet18(), "simam")))  # has nothing to learn


def test_a_frozen_gate_that_is_0_can_never_move():
    torch.manual_seed(0)
    model = foveate.attach(timm.create_model("cifar_resnet8"), "se", identity_init=True)
    model.layer1.requires_grad_(False)
    images = torch.rand(2, 3, 32, 32)
    with pytest.raises(
        RequestError, match=r"gate of the attention at 'layer1\.0\.bn2' is 0.*can never change"
    ):
        model(images)
    with torch.no_grad():
        model(images)  # nothing learns here
    model.eval()(images)
    for module in attached(model).values():
        module.requires_grad_(True)
    model.train()(images)
    for module in attached(model).values():
        torch.nn.init.ones_(module.gate)
        module.gate.requires_grad_(False)  # it is where a person wants it
    model(images)


FULL = {
    "fasterrcnn_resnet50_fpn": (16, "backbone.body."),
    "maskrcnn_resnet50_fpn": (16, "backbone.body."),
    "retinanet_resnet50_fpn": (16, "backbone.body."),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (15, "backbone.body."),
    "ssdlite320_mobilenet_v3_large": (14, "backbone.features."),
    "deeplabv3_resnet50": (16, "backbone."),
    "fcn_resnet50": (16, "backbone."),
    "lraspp_mobilenet_v3_large": (15, "backbone."),
}


@pytest.mark.parametrize("name", FULL)
def test_detectors_and_segmenters_have_the_sites_of_their_backbone(name):
    blocks, before = FULL[name]
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    found = sites(model)
    assert sum(site.where == "block" for site in found) == blocks
    assert all(site.path.startswith(before) for site in found)


def detector() -> nn.Module:
    """A Faster R-CNN as torchvision builds it, on a ResNet-18 and small images."""
    body = torchvision.models.resnet18(norm_layer=torchvision.ops.FrozenBatchNorm2d)
    backbone = _resnet_fpn_extractor(body, trainable_layers=3)
    return torchvision.models.detection.FasterRCNN(backbone, num_classes=3, min_size=64, max_size=64)


def detection_step(model: nn.Module) -> torch.Tensor:
    boxes = torch.tensor([[4.0, 4.0, 40.0, 44.0], [20.0, 8.0, 60.0, 60.0]])
    target = {"boxes": boxes, "labels": torch.tensor([1, 2])}
    return sum(model([torch.rand(3, 64, 64)], [target]).values())


def segmenter() -> nn.Module:
    body = torchvision.models._utils.IntermediateLayerGetter(
        torchvision.models.resnet18(), return_layers={"layer4": "out"}
    )
    head = torchvision.models.segmentation.deeplabv3.DeepLabHead(512, 3)
    return torchvision.models.segmentation.DeepLabV3(body, head)


def segmentation_step(model: nn.Module) -> torch.Tensor:
    target = torch.randint(0, 3, (2, 64, 64))
    return nn.functional.cross_entropy(model(torch.rand(2, 3, 64, 64))["out"], target)


@pytest.mark.filterwarnings("ignore:.*sites lie in frozen parts")
@pytest.mark.parametrize(
    ("build", "step"), [(detector, detection_step), (segmenter, segmentation_step)], ids=["boxes", "masks"]
)
def test_attention_in_a_detector_and_a_segmenter_learns_is_captured_and_is_saved(build, step, tmp_path):
    torch.manual_seed(0)
    model = foveate.attach(build(), "cbam", identity_init=True)
    assert len(attached(model)) == 8
    drawn = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimiser = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        step(model).backward()
        optimiser.step()
    moved = {name for name, one in model.named_parameters() if not torch.equal(one, drawn[name])}
    assert {f"{path}.gate" for path in attached(model)} <= moved

    images = [torch.rand(3, 64, 64)] if build is detector else torch.rand(1, 3, 64, 64)
    with foveate.capture(model.eval()) as maps, torch.no_grad():
        model(images)
    assert set(maps) == set(attached(model))
    assert default_layer(model).endswith("layer4.1")

    torch.manual_seed(1)  # other random weights than those that are loaded
    foveate.save(model, tmp_path / "model.safetensors", backbone=None)
    loaded = foveate.load(tmp_path / "model.safetensors", model=build())
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


@pytest.mark.parametrize("feature_cls", ["dict", "list", "hook", "getter"])
@pytest.mark.parametrize(
    ("name", "kind"), [("resnet18", "block"), ("convnext_atto", "block"), ("densenet121", "stage")]
)
def test_every_form_of_timms_features_runs_attention(name, kind, feature_cls):
    torch.manual_seed(0)
    model = timm.create_model(name, features_only=True, feature_cls=feature_cls).eval()
    images = torch.rand(1, 3, 64, 64)
    whole = timm.create_model(name)
    assert [(site.stage, site.channels) for site in sites(model)] == [
        (site.stage, site.channels) for site in sites(whole)
    ]
    foveate.attach(model, "simam", where=kind)
    calls = []
    for module in attached(model).values():
        module.register_forward_hook(lambda module, args, y: calls.append(module))
    with torch.no_grad():
        model(images)
    assert calls == list(attached(model).values())


@pytest.mark.parametrize("name", ["efficientvit_b0", "swin_tiny_patch4_window7_224", "coatnet_pico_rw_224"])
def test_features_of_transformers_have_the_stages_of_the_network(name):
    whole, features = (timm.create_model(name, features_only=only) for only in (False, True))
    assert [(site.where, site.stage, site.channels, site.layout) for site in sites(features)] == [
        (site.where, site.stage, site.channels, site.layout) for site in sites(whole)
    ]


def test_features_of_a_vit_read_all_tokens_so_that_its_last_block_has_a_place():
    assert len(sites(timm.create_model("vit_tiny_patch16_224", features_only=True), "block")) == 12


def test_a_traced_network_says_to_attach_before():
    model = timm.create_model("cifar_resnet8", features_only=True, feature_cls="fx")
    with pytest.raises(RequestError, match=r"traced by torch\.fx.*attach to the network that it was traced"):
        foveate.attach(model, "se")


@pytest.mark.parametrize(
    "encoder", ["resnet18", "efficientnet-b0", "mobilenet_v2", "densenet121", "tu-convnext_atto"]
)
def test_encoders_of_segmentation_models_pytorch(encoder):
    smp = pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    model = smp.Unet(encoder, encoder_weights=None).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = model(images)
        kind = "block" if sites(model, "block") else "stage"
        foveate.attach(model, "se", where=kind, identity_init=True)
        assert torch.equal(model(images), before)
    heights = []
    for site in sites(foveate.detach(model), "stage"):
        module = model.get_submodule(site.path)
        module.register_forward_hook(lambda module, args, y: heights.append(y.shape[2]))
    with torch.no_grad():
        model(images)
    assert all(later < earlier for earlier, later in itertools.pairwise(heights))


@pytest.mark.parametrize("kind", ["resnet", "convnext", "convnextv2"])
def test_hugging_faces_networks(kind):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        kind, hidden_sizes=[8, 16, 24, 32], depths=[1, 2, 1, 1], num_labels=3, out_indices=[1, 2, 3, 4]
    )
    images = torch.rand(1, 3, 64, 64)
    for auto in (transformers.AutoModelForImageClassification, transformers.AutoBackbone):
        model = auto.from_config(config).eval()
        with torch.no_grad():
            before = model(images)[0]
            assert [site.channels for site in sites(model, "block")] == [8, 16, 16, 24, 32]
            assert [site.channels for site in sites(model, "stage")] == [8, 16, 24, 32]
            foveate.attach(model, "eca", where="block", identity_init=True)
            after = model(images)[0]
        for one, other in zip(before, after, strict=True):
            assert torch.equal(one, other)
        assert default_layer(model).endswith("stages.3.layers.0")
