"""YOLO networks, which are found by the names and the structure of their blocks."""

import copy
import io

import pytest
import torch
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.sites.find import sites


class Conv(nn.Module):
    """Convolution, norm and activation; fusing folds the norm and replaces the forward."""

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))

    def forward_fuse(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class C2f(nn.Module):
    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(c1, c2), Conv(3 * c2 // 2, c2)
        self.m = nn.ModuleList([Conv(c2 // 2, c2 // 2, 3)])

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.cv1(x).chunk(2, 1))
        parts.extend(one(parts[-1]) for one in self.m)
        return self.cv2(torch.cat(parts, 1))


class C3(nn.Module):
    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.cv1, self.cv2, self.cv3 = Conv(c1, c2 // 2), Conv(c1, c2 // 2), Conv(c2, c2)
        self.m = nn.Sequential(C2f(c2 // 2, c2 // 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))


class C3k2(C2f):
    """A subclass, as there are many."""


class SPPF(nn.Module):
    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(c1, c1 // 2), Conv(c1, c2)
        self.m = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        return self.cv2(torch.cat((x, self.m(x)), 1))


class Concat(nn.Module):
    def forward(self, x: list[Tensor]) -> Tensor:
        return torch.cat(x, 1)


class Yolo(nn.Module):
    """Runs the modules of its Sequential itself, each on the outputs that its `f` names."""

    def __init__(self) -> None:
        super().__init__()
        rows = [
            (-1, Conv(3, 8, 3, 2)),
            (-1, C2f(8, 8)),
            (-1, Conv(8, 16, 3, 2)),
            (-1, C3(16, 16)),
            (-1, SPPF(16, 16)),
            (-1, nn.Upsample(scale_factor=2)),
            ([-1, 1], Concat()),
            (-1, C3k2(24, 8)),
        ]
        for number, (source, module) in enumerate(rows):
            module.f, module.i = source, number
        self.model = nn.Sequential(*(module for _, module in rows))

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for module in self.model:
            source = module.f
            if isinstance(source, list):
                x = [x if one == -1 else outputs[one] for one in source]
            x = module(x)
            outputs.append(x)
        return x

    def fuse(self) -> "Yolo":
        for module in self.model.modules():
            if isinstance(module, Conv) and hasattr(module, "bn"):
                module.conv = torch.nn.utils.fuse_conv_bn_eval(module.conv, module.bn)
                del module.bn
                module.forward = module.forward_fuse
        return self


@pytest.fixture
def yolo() -> Yolo:
    torch.manual_seed(0)
    model = Yolo()
    with torch.no_grad():
        model.train()(torch.rand(4, 3, 32, 32))  # running statistics that are not those of the start
    return model.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def moved(model: nn.Module) -> nn.Module:
    """The network with gates that let attention through."""
    for module in attached(model).values():
        nn.init.constant_(module.gate, 0.5)
    return model


def test_blocks_are_found_and_those_inside_of_them_are_not(yolo):
    assert [(site.path, site.channels, site.stage) for site in sites(yolo, "block")] == [
        ("model.1", 8, 1),
        ("model.3", 16, 2),
        ("model.4", 16, 2),
        ("model.7", 8, 3),
    ]
    assert [(site.path, site.stage) for site in sites(yolo, "stage")] == [
        ("model.1", 1),
        ("model.4", 2),
        ("model.7", 3),
    ]


def test_a_class_of_that_name_and_of_another_structure_is_none():
    class C2f(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cv1 = nn.Conv2d(3, 3, 1)

    assert sites(nn.Sequential(C2f())) == []


@torch.no_grad()
def test_weights_and_first_output_stay(yolo, images):
    state, before = copy.deepcopy(yolo.state_dict()), yolo(images)
    foveate.attach(yolo, "cbam", identity_init=True, reduction=4)
    assert len(attached(yolo)) == 4
    assert torch.equal(yolo(images), before)
    assert all(torch.equal(yolo.state_dict()[key], value) for key, value in state.items())
    assert not torch.equal(moved(yolo)(images), before)
    assert torch.equal(foveate.detach(yolo)(images), before)


@torch.no_grad()
def test_it_survives_fusing_copies_and_pickled_checkpoints(yolo, images):
    expected = moved(foveate.attach(yolo, "cbam", identity_init=True, reduction=4))(images)
    assert torch.equal(copy.deepcopy(yolo)(images), expected)
    average = torch.optim.swa_utils.AveragedModel(yolo)
    assert torch.equal(average(images), expected)
    file = io.BytesIO()
    torch.save({"ema": yolo}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)["ema"]
    assert torch.equal(loaded(images), expected)
    fused = loaded.fuse()
    assert len(attached(fused)) == 4
    torch.testing.assert_close(fused(images), expected)
    assert not hasattr(fused.model[1].cv1, "bn")


@torch.no_grad()
def test_attention_goes_into_a_fused_network_too(yolo, images):
    before = yolo.fuse()(images)
    assert torch.equal(foveate.attach(yolo, "eca", identity_init=True)(images), before)


def test_fusing_a_convolution_that_has_attention_itself_is_refused(yolo):
    foveate.attach(yolo, "eca", at=["model.1.cv2"])
    with pytest.raises(RequestError, match=r"forward of a Conv.* would become forward_fuse.*model\.1\.cv2"):
        yolo.fuse()


def test_a_block_that_was_replaced_is_missed_at_the_next_forward(yolo, images):
    foveate.attach(yolo, "eca", where="block")
    other = C2f(8, 8)
    other.f, other.i = -1, 1
    yolo.model[1] = other
    with pytest.raises(RequestError, match=r"the attention at 'model\.1' is gone"):
        yolo(images)


def test_sites_of_both_kinds_at_one_module_get_one_attention(yolo):
    foveate.attach(yolo, "simam", at=sites(yolo))
    assert list(attached(yolo)) == [f"model.{number}.attention" for number in (1, 3, 4, 7)]


@pytest.mark.parametrize("config", ["yolov8n.yaml", "yolo11n.yaml", "yolov5n.yaml"])
@torch.no_grad()
def test_ultralytics_own_networks(config):
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    utils = pytest.importorskip("ultralytics.utils.torch_utils")
    torch.manual_seed(0)
    model = tasks.DetectionModel(config, nc=3, verbose=False)
    images = torch.rand(2, 3, 64, 64)
    model.train()(images)
    state, before = copy.deepcopy(model.state_dict()), model.eval()(images)[0]
    foveate.attach(model, "cbam", identity_init=True)
    assert torch.equal(model(images)[0], before)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())
    expected = moved(model)(images)[0]
    assert not torch.equal(expected, before)
    average = utils.ModelEMA(model)
    average.update(model)
    torch.testing.assert_close(average.ema(images)[0], expected, rtol=1e-3, atol=1e-3)
    fused = copy.deepcopy(model).fuse(verbose=False)
    assert fused.is_fused()
    assert len(attached(fused)) == len(sites(model, "block"))
    torch.testing.assert_close(fused(images)[0], expected, rtol=1e-3, atol=1e-3)
