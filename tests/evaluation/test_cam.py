"""Class activation maps agree with their equations, and leave the network as it was."""

import pytest
import timm
import torch
from torch import nn
from torch.nn.functional import interpolate

import foveate
from foveate.errors import RequestError
from foveate.evaluation.cam import cam_maps
from foveate.evaluation.feature_maps import feature_map, is_channels_last

pytest.importorskip("pytorch_grad_cam")


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model("cifar_resnet8", num_classes=4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return model.eval()


IMAGES = torch.randn(3, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def by_hand(model: nn.Module, layer: str, images: torch.Tensor, targets: torch.Tensor, method: str):
    """Eqs. 1 and 2 of Selvaraju et al., eqs. 7 and 19 of Chattopadhay et al."""
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, a, output: kept.append(output))
    logits = model(images)
    handle.remove()
    (A,) = kept
    (g,) = torch.autograd.grad(logits[range(len(images)), targets].sum(), A)
    if method == "gradcam":
        weights = g.mean(dim=(2, 3))
    else:
        a = g**2 / (2 * g**2 + A.sum(dim=(2, 3), keepdim=True) * g**3 + 1e-6)
        weights = (a * (g != 0) * g.relu()).sum(dim=(2, 3))
    maps = (weights[:, :, None, None] * A).sum(dim=1).relu()
    maps = maps - maps.amin(dim=(1, 2), keepdim=True)
    maps = maps / (maps.amax(dim=(1, 2), keepdim=True) + 1e-7)
    maps = interpolate(maps[:, None], images.shape[2:], mode="bilinear")[:, 0]
    maps = maps - maps.amin(dim=(1, 2), keepdim=True)
    return (maps / (maps.amax(dim=(1, 2), keepdim=True) + 1e-7)).detach(), logits.detach()


@pytest.mark.parametrize("method", ["gradcam", "gradcam++"])
@pytest.mark.parametrize("layer", ["layer3.0", "layer2.0", "layer1.0.conv2"])
def test_maps_are_those_of_the_equations(network, layer, method):
    targets = torch.tensor([3, 0, 1])
    maps, logits = cam_maps(network, layer, IMAGES, method, targets)
    expected, answers = by_hand(network, layer, IMAGES, targets, method)
    assert maps.shape == (3, 16, 24)
    torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits, answers)


def test_without_targets_the_answer_is_asked_about(network):
    own, logits = cam_maps(network, "layer3.0", IMAGES)
    torch.testing.assert_close(own, cam_maps(network, "layer3.0", IMAGES, targets=logits.argmax(dim=1))[0])
    other, _ = cam_maps(network, "layer3.0", IMAGES, targets=logits.argmin(dim=1))
    assert (own - other).abs().max() > 0.1


def test_a_batch_is_its_images(network):
    together, _ = cam_maps(network, "layer3.0", IMAGES)
    alone = [cam_maps(network, "layer3.0", image[None])[0] for image in IMAGES]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_it_marks_what_the_answer_is_read_off():
    class Bright(nn.Module):
        """Says 1 for what is bright: its map is the image."""

        def __init__(self) -> None:
            super().__init__()
            self.see = nn.Identity()
            self.unused = nn.Linear(1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bright = self.see(x).mean(dim=(1, 2, 3))
            return torch.stack([-bright, bright], dim=1)

    images = torch.zeros(1, 1, 8, 8)
    images[0, 0, 2:4, 5] = 1.0
    maps, _ = cam_maps(Bright(), "see", images, "gradcam")
    torch.testing.assert_close(maps, images[0])
    # Nothing spoke for the other class.
    assert cam_maps(Bright(), "see", images, "gradcam", torch.tensor([0]))[0].abs().max() == 0


@pytest.mark.parametrize("strength", [1.0, 1e-6, 1e-12])
def test_a_map_reaches_1_however_weak_it_is(network, strength):
    with torch.no_grad():
        targets = network(IMAGES).argmax(dim=1)
        network.fc.weight *= strength
    maps, _ = cam_maps(network, "layer3.0", IMAGES, "gradcam", targets)
    assert (maps.amax(dim=(1, 2)) == 1).all()
    assert (maps.amin(dim=(1, 2)) == 0).all()


def test_autocast_around_it_changes_nothing_and_another_dtype_is_refused(network):
    expected, logits = cam_maps(network, "layer3.0", IMAGES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps, answers = cam_maps(network, "layer3.0", IMAGES)
    torch.testing.assert_close((maps, answers), (expected, logits), atol=0, rtol=0)
    for dtype in (torch.bfloat16, torch.float64):
        with pytest.raises(RequestError, match=r"gives (bfloat16|float64); maps need float32"):
            cam_maps(network.to(dtype), "layer3.0", IMAGES.to(dtype))


def state(model: nn.Module) -> list[object]:
    modules = [(m.training, dict(m._forward_hooks), dict(m._backward_hooks)) for m in model.modules()]
    return modules + [(p.requires_grad, p.grad) for p in model.parameters()]


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_network_is_as_it_was_and_any_mode_will_do(network, mode):
    network(IMAGES).sum().backward()
    network.layer1.train()
    network.fc.bias.requires_grad = False
    before, enabled = state(network), torch.is_grad_enabled()
    with mode():
        maps, _ = cam_maps(network, "layer3.0", IMAGES)
        with pytest.raises(RequestError):
            cam_maps(network, "fc", IMAGES)
        with pytest.raises(RuntimeError):
            cam_maps(network, "layer3.0", torch.randn(2, 5, 16, 16))
    assert state(network) == before
    assert torch.is_grad_enabled() == enabled
    assert not maps.requires_grad


def test_networks_that_go_on_in_place(network):
    network.layer3[0].act2.inplace = True
    layer = "layer3.0.bn2"
    in_place, _ = cam_maps(network, layer, IMAGES)
    network.layer3[0].act2.inplace = False
    torch.testing.assert_close(in_place, cam_maps(network, layer, IMAGES)[0])


def test_attention_is_looked_through(network):
    foveate.attach(network, "dmsca", reduction=8)
    targets = torch.tensor([0, 1, 2])
    maps, _ = cam_maps(network, "layer2.0", IMAGES, targets=targets)
    expected, _ = by_hand(network, "layer2.0", IMAGES, targets, "gradcam++")
    torch.testing.assert_close(maps, expected, atol=1e-3, rtol=1e-3)


def test_tokens_and_channels_last_become_maps():
    vit = timm.create_model("vit_tiny_patch16_224", depth=2, img_size=(32, 64), num_classes=4)
    assert cam_maps(vit, "blocks.1.norm1", torch.randn(2, 3, 32, 64))[0].shape == (2, 32, 64)
    swin = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), num_classes=4)
    assert feature_map(swin, "norm", torch.zeros(2, 7, 7, 768), (224, 224)).shape == (2, 768, 7, 7)
    tokens = torch.arange(9.0).view(1, 9, 1)
    torch.testing.assert_close(
        feature_map(vit, "norm", tokens, (32, 64))[0, 0], torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    )
    with pytest.raises(RequestError, match="8 tokens, which fill no grid"):
        feature_map(vit, "norm", tokens[:, 1:], (32, 64))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("layer33.0", r"unknown layer of CifarResNet 'layer33.0'. Did you mean 'layer3.0'"),
        ("fc", r"gives shape \(3, 4\): expected a feature map"),
        ("layer4", "gives maps of 1×1|does not depend on layer"),
    ],
)
def test_a_layer_without_maps_is_refused(network, layer, said):
    network.layer4 = nn.AdaptiveAvgPool2d(1)
    with pytest.raises(RequestError, match=said):
        cam_maps(network, layer, IMAGES)


def test_a_layer_beside_the_answer_or_run_twice_is_refused(network):
    network.beside = nn.Conv2d(3, 3, 1)
    with pytest.raises(RequestError, match="does not depend on layer 'beside', or the layer does not run"):
        cam_maps(network, "beside", IMAGES)
    network.layer3[0].act2 = network.layer3[0].act1
    with pytest.raises(RequestError, match="runs 2 times"):
        cam_maps(network, "layer3.0.act1", IMAGES)
    with pytest.raises(RequestError, match=r"unknown method 'gradcam\+'"):
        cam_maps(network, "layer3.0", IMAGES, "gradcam+")


def test_maps_of_hirescam_weigh_each_element_by_its_own_gradient(network):
    targets = torch.tensor([3, 0, 1])
    kept = []
    handle = network.layer2[0].register_forward_hook(lambda m, a, output: kept.append(output))
    logits = network(IMAGES)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[range(3), targets].sum(), kept[0])
    expected = (gradient * kept[0]).sum(dim=1).relu().detach()
    expected = expected - expected.amin(dim=(1, 2), keepdim=True)
    expected = interpolate(expected[:, None], IMAGES.shape[2:], mode="bilinear")[:, 0]
    expected = expected - expected.amin(dim=(1, 2), keepdim=True)
    expected = expected / expected.amax(dim=(1, 2), keepdim=True)
    maps, _ = cam_maps(network, "layer2.0", IMAGES, "hirescam", targets)
    torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-4)


def test_the_sign_of_eigencam_does_not_hang_on_the_decomposition(network, monkeypatch):
    from pytorch_grad_cam import eigen_cam

    maps, _ = cam_maps(network, "layer2.0", IMAGES, "eigencam")
    project = eigen_cam.get_2d_projection
    monkeypatch.setattr(eigen_cam, "get_2d_projection", lambda features: -project(features))
    torch.testing.assert_close(cam_maps(network, "layer2.0", IMAGES, "eigencam")[0], maps)
    assert maps.amax(dim=(1, 2)).tolist() == [1.0, 1.0, 1.0]


def test_channels_last_are_known_in_the_backbone_of_another_network(network):
    tiny = {"depths": (1, 1), "num_heads": (1, 1), "embed_dim": 8, "img_size": 56}
    swin = timm.create_model("swin_tiny_patch4_window7_224", num_classes=2, **tiny)
    both = nn.ModuleDict({"swin": swin, "plain": network})
    assert is_channels_last(both, "swin.layers.1")
    assert not is_channels_last(both, "plain.layer2.0")
