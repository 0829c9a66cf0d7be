"""What leaves through ONNX and torch.export is the network; what is not is refused, and leaves no file."""

import copy
import io
import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import foveate
from foveate.errors import DiskError, RequestError, WorkError
from foveate.models.checkpoint.save_load import save
from foveate.models.export.export import export, export_file
from foveate.models.export.exported import Exported, in_lines
from foveate.models.export.parity import compare
from foveate.version import __version__

CLASSES = ["cat", "dog", "Öre"]


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def run_onnx(path: Path | str, x: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": x.numpy()})[0])


@torch.no_grad()
def settle(network: nn.Module, *shape: int) -> nn.Module:
    """Move the running statistics and the parameters away from where they start."""
    for parameter in network.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape))
    network.train()(images(4, *shape))
    return network.eval()


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    network = timm.create_model("cifar_resnet20_se", num_classes=3, in_chans=1, zero_init_last=False)
    network.pretrained_cfg |= {"label_names": CLASSES, "input_size": (1, 20, 24), "mean": (0.5,)}
    return settle(network, 1, 20, 24)


@pytest.fixture(scope="module")
def exported(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    folder = tmp_path_factory.mktemp("exported")
    return {name: export(network, folder / name, name) for name in ("onnx", "exported-program")}


@pytest.mark.parametrize("shape", [(1, 1, 20, 24), (7, 1, 31, 45), (2, 1, 64, 9)])
def test_both_files_give_the_networks_logits_at_any_shape(network, exported, shape):
    x = images(*shape)
    with torch.no_grad():
        expected = network(x)
        assert (expected - foveate.detach(copy.deepcopy(network))(x)).abs().max() > 0.01
        program = torch.export.load(io.BytesIO(Path(exported["exported-program"].path).read_bytes()))
        torch.testing.assert_close(program.module()(x), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(run_onnx(exported["onnx"].path, x), expected, atol=1e-5, rtol=0)


def test_result_says_what_was_held_against_the_network(network, exported):
    for name, done in exported.items():
        assert done.format == name
        assert done.bytes == Path(done.path).stat().st_size
        assert done.axes == {"batch": "any", "height": "any", "width": "any"}
        assert done.fixed_because is None
        assert done.refused == []
        assert {shape[0] for shape in done.checked} == {1, 2, 3, 5}
        assert [1, 1, 20, 24] in done.checked
        assert any(shape[2] % 2 and shape[2] != shape[3] for shape in done.checked)
        assert 0 <= done.logits_difference < 1e-5
        assert done.largest_logit > 0.1
    assert exported["onnx"].logits_difference > 0  # another runtime rounds otherwise
    assert (exported["onnx"].opset, exported["exported-program"].opset) == (18, None)


def test_onnx_is_one_file_with_names_and_what_is_needed_to_use_it(exported):
    path = Path(exported["onnx"].path)
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model)
    assert all(tensor.data_location == tensor.DEFAULT for tensor in model.graph.initializer)
    assert [path.name for path in path.parent.iterdir() if "onnx" in path.name] == ["onnx"]
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (into,), (out,) = session.get_inputs(), session.get_outputs()
    assert (into.name, into.shape) == ("images", ["batch", 1, "height", "width"])
    assert (out.name, out.shape) == ("logits", ["batch", 3])
    check_about({entry.key: entry.value for entry in model.metadata_props}, decode=json.loads)


def check_about(about, decode):
    assert about["foveate"] == __version__
    assert about["network"] == "cifar_resnet20_se"
    assert decode(about["classes"]) == CLASSES
    assert decode(about["outputs"]) == ["logits"]
    preprocessing = decode(about["preprocessing"])
    assert preprocessing["input_size"] == [1, 20, 24]
    assert preprocessing["mean"] == [0.5]
    assert {"std", "crop_pct", "interpolation"} <= set(preprocessing)


def test_program_carries_the_same(exported):
    extra = {"foveate.json": ""}
    torch.export.load(io.BytesIO(Path(exported["exported-program"].path).read_bytes()), extra_files=extra)
    check_about(json.loads(extra["foveate.json"]), decode=lambda value: value)


def test_lines_for_people(exported):
    first, second = in_lines(exported["onnx"])
    assert first.endswith("batch any, height any, width any")
    assert "opset 18" in first
    assert "batches of 1, 2 and 5 at 20×24, of 2 at 31×25" in second


def test_callers_network_stays_as_it_was(tmp_path):
    """Attention before a module (ConvNeXt's pre-hook), channels last, in training, in bfloat16."""
    torch.manual_seed(0)
    network = timm.create_model("convnext_atto", num_classes=5, ls_init_value=1.0)
    settle(foveate.attach(network, "cbam", stages=[4]), 3, 64, 64)
    network.train().to(torch.bfloat16).to(memory_format=torch.channels_last)
    network.head.drop.eval()
    before, modes = copy.deepcopy(network.state_dict()), [module.training for module in network.modules()]
    done = export(network, tmp_path / "x.pt2", "exported-program", image_size=64)
    assert [module.training for module in network.modules()] == modes
    for key, value in network.state_dict().items():
        assert value.dtype == before[key].dtype
        assert value.stride() == before[key].stride()
        assert torch.equal(value, before[key])
    assert done.axes == {"batch": "any", "height": "from 64", "width": "from 64"}
    x = images(2, 3, 70, 93)
    loaded = torch.export.load(io.BytesIO((tmp_path / "x.pt2").read_bytes())).module()
    expected = copy.deepcopy(network).float().eval()
    assert (expected(x) - foveate.detach(copy.deepcopy(expected))(x)).abs().max() > 0.01
    torch.testing.assert_close(loaded(x), expected(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("build", "attention"),
    [
        (torchvision.models.resnet18, "se"),
        pytest.param(torchvision.models.mobilenet_v3_small, None, marks=pytest.mark.full),
        pytest.param(
            lambda: torchvision.models.convnext_tiny(layer_scale=1.0), "eca", marks=pytest.mark.full
        ),
    ],
)
def test_torchvisions_networks_leave_as_onnx_for_any_size(build, attention, tmp_path):
    torch.manual_seed(0)
    network = build()
    network = settle(foveate.attach(network, attention) if attention else network, 3, 64, 64)
    done = export(torch.compile(network), tmp_path / "x.onnx", "onnx", image_size=32)
    assert done.axes == {"batch": "any", "height": "any", "width": "any"}
    assert [1, 3, 32, 64] in done.checked
    about = {entry.key: entry.value for entry in onnx.load(tmp_path / "x.onnx").metadata_props}
    assert about == {
        "foveate": __version__,
        "network": type(network).__name__,
        "outputs": '["logits"]',
    }


def test_program_of_one_pixel_maps_says_its_bounds(tmp_path):
    done = export(timm.create_model("resnet18"), tmp_path / "x", "exported-program", image_size=32)
    assert done.axes == {"batch": "any", "height": "1 to 32", "width": "1 to 32"}
    assert [3, 3, 24, 17] in done.checked
    assert all(max(shape[2:]) <= 32 for shape in done.checked)


class Unfollowed(nn.Module):
    """Takes any size, in a way that torch.export cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv(x)
        return maps.mean(dim=(2, 3)) * float(maps.shape[2] == 6 or maps.shape[3] > 2)


def test_what_torch_cannot_follow_is_said(tmp_path):
    done = export(Unfollowed(), tmp_path / "x", "exported-program", image_size=8)
    assert done.axes == {"batch": "any", "height": "8", "width": "8"}
    assert done.fixed_because.startswith("torch.export holds them: ")
    assert any(done.fixed_because in line for line in in_lines(done))


class OneSize(nn.Module):
    """A classifier for 8×8 pixels; `strict` says so itself, as timm's vision transformers do."""

    def __init__(self, strict: bool) -> None:
        super().__init__()
        self.strict, self.conv, self.fc = strict, nn.Conv2d(3, 2, 3), nn.Linear(2 * 6 * 6, 4)

    def forward(self, x: Tensor) -> Tensor:
        if self.strict and x.shape[-1] != 8:
            raise ValueError(f"width {x.shape[-1]} is not 8\nand more words")
        return self.fc(self.conv(x).flatten(1))


@pytest.mark.parametrize("format", ["onnx", "exported-program"])
@pytest.mark.parametrize(
    ("strict", "reason"), [(True, "width 16 is not 8"), (False, "shapes cannot be multiplied")]
)
def test_fixed_size_is_said_with_its_reason(tmp_path, format, strict, reason):
    done = export(OneSize(strict), tmp_path / "x", format, image_size=8)
    assert done.axes == {"batch": "any", "height": "8", "width": "8"}
    assert done.fixed_because.startswith("the network takes no other: ")
    assert reason in done.fixed_because
    assert any(reason in line for line in in_lines(done))
    assert {shape[0] for shape in done.checked} == {1, 2, 5}


class Wrong(nn.Module):
    """A classifier that is not the same twice, looks at its values, or is none."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault, self.conv = fault, nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor | str]:
        maps = self.conv(x)
        logits = maps.mean(dim=(2, 3))
        if self.fault == "branch" and logits.sum() > 0:
            return logits.abs()
        answers = {
            "noise": logits + torch.rand_like(logits),
            "text": {"logits": logits, "about": "x"},
        }
        return answers.get(self.fault, logits)


@pytest.mark.parametrize("format", ["onnx", "exported-program"])
@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("noise", WorkError, "differs from the network by"),
        ("branch", WorkError, "cannot export Wrong as"),
        ("text", RequestError, "the network returns a str at about: expected a tensor"),
    ],
)
def test_what_does_not_agree_leaves_no_file(tmp_path, format, fault, kind, message):
    (tmp_path / "x").write_text("old")
    with pytest.raises(kind) as raised:
        export(Wrong(fault), tmp_path / "x", format, image_size=8)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def linear(scale: float) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False))
    nn.init.constant_(network[1].weight, scale)
    return network


@pytest.mark.parametrize(
    ("scale", "off", "agrees"),
    [(1e-3, 9e-5, True), (1e-3, 2e-4, False), (1e3, 2e-2, True), (1e3, 1.0, False), (1.0, np.nan, False)],
)
def test_tolerance_is_absolute_below_logits_of_one_and_relative_above(scale, off, agrees):
    network = linear(scale)
    shapes = [(4, 3, 1, 1)]
    with torch.no_grad():
        run = lambda x: [network(x) + off]  # noqa: E731
        if not agrees:
            with pytest.raises(WorkError, match="differs from the network"):
                compare(network, run, ["logits"], (1, 1), shapes, "it")
            return
        parity = compare(network, run, ["logits"], (1, 1), shapes, "it")
    assert [output.name for output in parity.outputs] == ["logits"]
    assert parity.logits_difference == pytest.approx(off, rel=0.05)
    assert parity.probabilities_difference < 1e-3
    assert parity.checked == [[4, 3, 1, 1]]


def test_refusals_are_told_apart():
    """Of the network: passed over. Of the file alone: listed, or at the network's own size an error."""

    def network(x: Tensor) -> Tensor:
        assert x.shape[3] != 5
        return x.sum(dim=(2, 3))

    def run(x: Tensor) -> list[Tensor]:
        assert x.shape[3] != 7, "seven is too many"
        return [x.sum(dim=(2, 3))]

    shapes = [(2, 3, 1, 4), (1, 3, 1, 5), (1, 3, 1, 7)]
    parity = compare(network, run, ["logits"], (1, 4), shapes, "it")
    assert (parity.checked, parity.refused) == ([[2, 3, 1, 4]], [[1, 3, 1, 7]])
    with pytest.raises(WorkError, match="it refuses images .*: seven is too many"):
        compare(network, run, ["logits"], (1, 7), shapes, "it")


def test_wrong_requests(tmp_path, monkeypatch):
    network = timm.create_model("convnext_atto")
    with pytest.raises(RequestError, match=r"unknown format 'onxx'. Did you mean 'onnx'\? Choices: exported"):
        export(network, tmp_path / "x", "onxx")
    with pytest.raises(RequestError, match="image_size must be 1 or more, got 0"):
        export(network, tmp_path / "x", "exported-program", image_size=0)
    with pytest.raises(RequestError, match=r"cannot take images of shape \(3, 8, 8\)"):
        export(network, tmp_path / "x", "exported-program", image_size=8)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(RequestError, match=r"onnxruntime: pip install 'foveate\[onnx\]'"):
        export(network, tmp_path / "x", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_source_and_out_are_refused_before_any_work(tmp_path):
    (tmp_path / "empty").mkdir()
    torch.save({"weight": torch.zeros(1)}, tmp_path / "old.pth")
    save(timm.create_model("cifar_resnet20_se"), tmp_path / "good.safetensors")
    steps: list[str] = []
    for source, out, message in [
        ("missing.safetensors", None, "missing.safetensors"),
        ("empty", None, "has no weights.safetensors"),
        ("old.pth", None, "old.pth"),
        ("good.safetensors", "empty", "is a folder"),
        ("good.safetensors", "old.pth/x.pt2", "is no folder that can be written to"),
    ]:
        with pytest.raises(RequestError) as raised:
            export_file(tmp_path / source, "exported-program", out and tmp_path / out, on_step=steps.append)
        assert message in str(raised.value)
    assert {step.split()[0] for step in steps} == {"reading"}


def test_a_disk_that_refuses_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DiskError):
        export(OneSize(False), tmp_path / "file" / "x.pt2", "exported-program", image_size=8)
    assert os.listdir(tmp_path) == ["file"]


def test_file_goes_beside_the_weights_by_default(tmp_path):
    save(timm.create_model("cifar_resnet20_eca", num_classes=3), tmp_path / "weights.safetensors")
    steps: list[str] = []
    done = export_file(tmp_path / "weights.safetensors", "exported-program", on_step=steps.append)
    assert done.path == str(tmp_path / "weights.pt2")
    assert [step.split()[0] for step in steps] == ["reading", "tracing", "converting", "checking"]
    assert [3, 3, 24, 17] in done.checked
