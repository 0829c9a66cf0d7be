"""Networks that return more than logits: each of their outputs has a name and is checked."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import onnxruntime
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError, WorkError
from foveate.models.export.export import export
from foveate.models.export.exported import in_lines
from foveate.models.export.parity import compare
from foveate.models.sites.outputs import name_outputs, tensors_in


def features(name: str, mechanism: str) -> nn.Module:
    return foveate.attach(timm.create_model(name, features_only=True), mechanism)


def deeplab() -> nn.Module:
    network = torchvision.models.segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=4, aux_loss=True
    )
    for stage in ("layer1", "layer2", "layer3", "layer4"):  # one block of each is enough here
        setattr(network.backbone, stage, getattr(network.backbone, stage)[:1])
    return foveate.attach(network, "cbam")


def detector(name: str = "fasterrcnn_resnet50_fpn") -> nn.Module:
    network = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=4, min_size=64, max_size=96
    )
    return foveate.attach(network, "se")


class Case(NamedTuple):
    build: Callable[[], nn.Module]
    outputs: list[str]


CASES = {
    "convnext features": Case(
        lambda: features("convnext_atto", "dmsca"), [f"features_{number}" for number in range(4)]
    ),
    "resnet features": Case(
        lambda: features("resnet18", "se"), [f"features_{number}" for number in range(5)]
    ),
    "deeplabv3": Case(deeplab, ["out", "aux"]),
    "backbone of a detector": Case(lambda: detector().backbone, ["0", "1", "2", "3", "pool"]),
}


@torch.no_grad()
def settled(build: Callable[[], nn.Module]) -> nn.Module:
    """Give the running statistics values of their own, in eval."""
    torch.manual_seed(0)
    network = build()
    for parameter in network.parameters():  # away from where they start, which hides what they do
        parameter.add_(0.02 * torch.randn(parameter.shape))
    network.train()(torch.randn(4, 3, 64, 64))
    return network.eval()


IN_FULL = ("convnext features", "backbone of a detector")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.full] if kind in IN_FULL else []) for kind in CASES]
)
def test_each_output_leaves_as_onnx_by_its_name(kind: str, tmp_path: Path) -> None:
    network, names = settled(CASES[kind].build), CASES[kind].outputs
    done = export(network, tmp_path / "x.onnx", "onnx", image_size=64)
    assert [output.name for output in done.outputs] == names
    assert all(0 <= output.difference <= 1e-4 * max(1, output.largest) for output in done.outputs)
    assert all(output.largest > 0 for output in done.outputs)
    assert done.logits_difference is done.probabilities_difference is done.largest_logit is None
    assert all(f" in {name} (of up to " in in_lines(done)[1] for name in names)
    about = {entry.key: entry.value for entry in onnx.load(tmp_path / "x.onnx").metadata_props}
    assert json.loads(about["outputs"]) == names
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == names
    x = torch.randn(3, 3, 70, 97, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = tensors_in(network(x))
        without = tensors_in(foveate.detach(network)(x))
    for name, value in zip(names, expected, strict=True):
        found = torch.from_numpy(session.run([name], {"images": x.numpy()})[0])
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-4)
    assert (expected[-1] - without[-1]).abs().max() > 1e-3


def test_a_program_returns_the_structure_of_the_network(tmp_path: Path) -> None:
    network = settled(deeplab)
    done = export(
        network, tmp_path / "x.pt2", "exported-program", image_size=64, output_names=["classes", "early"]
    )
    assert [output.name for output in done.outputs] == ["classes", "early"]
    extra = {"foveate.json": ""}
    program = torch.export.load(io.BytesIO((tmp_path / "x.pt2").read_bytes()), extra_files=extra)
    assert json.loads(extra["foveate.json"])["outputs"] == ["classes", "early"]
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, found = network(x), program.module()(x)
    assert list(found) == list(expected) == ["out", "aux"]
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn"])
def test_a_detector_is_refused_with_the_place_and_what_to_export_instead(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """torchvision's detectors ask how many boxes there are, which torch.export cannot follow."""
    format = "exported-program"
    with pytest.raises(WorkError) as raised:
        export(network := detector(name), tmp_path / "x", format, image_size=64)
    message = str(raised.value)
    assert message.startswith(
        f"cannot export {type(network).__name__} as {format}: how it goes on depends on the values"
    )
    assert "boxes.py, line " in message
    assert "foveate.export(model.backbone, …)" in message
    assert list(tmp_path.iterdir()) == []
    said = capfd.readouterr()
    assert said.out == said.err == ""  # torch prints the graph of the whole network


class ByImage(nn.Module):
    """Returns a dict for each image, of floats and of whole numbers, as a detector does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        found = [self.conv(image[None]).mean((2, 3))[0] for image in images]
        return [{"scores": scores, "labels": scores.argsort()} for scores in found]


@pytest.mark.parametrize("format", ["onnx", "exported-program"])
def test_a_dict_for_each_image_leaves_for_one_image(format: str, tmp_path: Path) -> None:
    done = export(ByImage(), tmp_path / "x", format, image_size=8)
    assert [output.name for output in done.outputs] == ["scores", "labels"]
    assert done.axes == {"batch": "1", "height": "8", "width": "8"}
    assert done.fixed_because == "the network returns a list with an entry for each image"
    assert done.checked == [[1, 3, 8, 8]]


class Pair(NamedTuple):
    main: Tensor
    rest: list[Tensor]


VECTOR, MAP = torch.zeros(1, 3), torch.zeros(1, 3, 2, 2)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (VECTOR, ("logits",)),
        (MAP, ("output",)),
        ([MAP], ("features_0",)),
        ((MAP, [MAP, VECTOR]), ("features_0", "features_1_0", "features_1_1")),
        ({"out": MAP, "aux": None}, ("out",)),
        ({"z": MAP, "a": {"b": [MAP, MAP]}}, ("z", "a_b_0", "a_b_1")),
        ({0: MAP, "pool": MAP}, ("0", "pool")),
        (Pair(MAP, [MAP]), ("main", "rest_0")),
        ([{"boxes": VECTOR}], ("boxes",)),
        ([{"boxes": VECTOR}, {"boxes": VECTOR}], ("boxes_0", "boxes_1")),
    ],
)
def test_names_follow_the_structure(answer: Any, names: tuple[str, ...]) -> None:
    assert name_outputs(answer) == names


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"a": {"b": MAP}, "a_b": MAP}, "the outputs would be called a_b, a_b: name them with output_names"),
        ({"images": MAP}, "the outputs would be called images"),
        ({"a": 3}, "the network returns a int at a: expected a tensor"),
        ([], r"the network returns no tensor \(list\)"),
        (None, r"the network returns no tensor \(NoneType\)"),
    ],
)
def test_what_has_no_names_is_refused(answer: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        name_outputs(answer)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], r"output_names has 1 names \(a\) for 2 outputs"),
        ("ab", r"output_names has 1 names \(ab\) for 2 outputs"),
        (["a", "a"], "expected names that differ from each other and from 'images'"),
        (["a", "images"], "expected names that differ"),
        (["a", ""], "expected names that differ"),
    ],
)
def test_names_that_do_not_fit_are_refused(names: Any, message: str, tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, images: Tensor) -> list[Tensor]:
            return [images, images + 1]

    with pytest.raises(RequestError, match=message):
        export(Two(), tmp_path / "x", "exported-program", image_size=8, output_names=names)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([MAP, VECTOR + 1e-3], "b: it differs from the network by 0.001"),
        ([MAP, VECTOR[:, :2]], r"b: it has the shape \(1, 2\), that of the network \(1, 3\)"),
        ([MAP], "gives 1 outputs and the network 2"),
        ([MAP, VECTOR.log() * 0], "b: it differs from the network by nan"),
        ([MAP, VECTOR], None),
    ],
)
def test_every_output_is_compared(found: list[Tensor], message: str | None) -> None:
    network = nn.Module()
    network.forward = lambda images: {"a": MAP, "b": VECTOR}  # type: ignore[method-assign]
    arguments = (network, lambda images: found, ["a", "b"], (1, 1), [(1, 3, 1, 1)], "it")
    if message is None:
        assert [output.name for output in compare(*arguments).outputs] == ["a", "b"]
        return
    with pytest.raises(WorkError, match=message):
        compare(*arguments)


def test_infinite_values_that_are_equal_agree_and_leave_the_tolerance_as_it_is() -> None:
    network = nn.Module()
    network.forward = lambda images: torch.tensor([[float("inf"), 1.0]])  # type: ignore[method-assign]
    for off, agrees in [(0.0, True), (1e-2, False)]:
        found = [torch.tensor([[float("inf"), 1.0 + off]])]
        arguments = (network, lambda images, found=found: found, ["a"], (1, 1), [(1, 3, 1, 1)], "it")
        if agrees:
            assert compare(*arguments).outputs[0].largest == 1
        else:
            with pytest.raises(WorkError, match="it differs from the network by 0.01"):
                compare(*arguments)


def test_large_images_are_checked_at_a_smaller_size_as_well(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    done = export(network, tmp_path / "x", "exported-program", image_size=300)
    assert done.axes == {"batch": "any", "height": "from 3", "width": "from 3"}
    assert [1, 3, 300, 300] in done.checked
    assert [5, 3, 150, 150] in done.checked
    assert not [shape for shape in done.checked if shape[0] > 1 and shape[2] >= 300]
