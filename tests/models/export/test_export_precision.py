"""ONNX files with fewer bits: what is quantised, what is not, and by how much they are said to differ."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from onnx import numpy_helper
from timm.layers import SqueezeExcite
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError, WorkError
from foveate.models.export.build import Built, build, build_reduced
from foveate.models.export.export import export
from foveate.models.export.exported import in_lines
from foveate.models.export.precision import Precision

CLASSES = 4


def images(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def settled(network: nn.Module) -> nn.Module:
    """Move the running statistics and the parameters away from where they start."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
        network.train()(images(8, 1, 16, 16, seed=1))
    return network.eval()


@pytest.fixture(scope="module", params=["se", "cbam"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    network = timm.create_model("cifar_resnet8", num_classes=CLASSES, in_chans=1, zero_init_last=False)
    network.pretrained_cfg["input_size"] = (1, 16, 16)
    return settled(foveate.attach(network, request.param))


@pytest.fixture(scope="module")
def built(network: nn.Module) -> Built:
    return build(network, "onnx")


@pytest.fixture(scope="module")
def calibration() -> Tensor:
    return images(24, 1, 16, 16)


class Graph:
    """An ONNX graph, by what its tensors come from; knows nothing of modules."""

    def __init__(self, content: bytes) -> None:
        self.model = onnx.load_from_string(content)
        onnx.checker.check_model(self.model)
        self.nodes = list(self.model.graph.node)
        self.arrays = {one.name: numpy_helper.to_array(one) for one in self.model.graph.initializer}
        self.makers = {name: node for node in self.nodes for name in node.output}

    def of(self, kind: str) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if node.op_type == kind]

    def is_quantised(self, name: str) -> bool:
        return name in self.makers and self.makers[name].op_type == "DequantizeLinear"

    def readers(self, name: str) -> set[str]:
        return {node.op_type for node in self.nodes if name in node.input}

    def weight(self, conv: onnx.NodeProto) -> np.ndarray:
        """The weights of a convolution, whether they are stored as they are or as integers."""
        name = conv.input[1]
        return self.arrays[self.makers[name].input[0] if self.is_quantised(name) else name]


def gate_shapes(network: nn.Module) -> set[tuple[int, ...]]:
    """The shapes of the weights of the attention, which no other convolution of this network has."""
    inside = [module for site in foveate.attached(network).values() for module in site.modules()]
    gates = {tuple(one.weight.shape) for one in inside if isinstance(one, nn.Conv2d)}
    others = {
        tuple(one.weight.shape)
        for one in network.modules()
        if isinstance(one, nn.Conv2d) and all(one is not other for other in inside)
    }
    assert not gates & others
    return gates


@pytest.mark.parametrize("quantise_gates", [False, True])
def test_gates_stay_in_float_unless_asked_for(network, built, calibration, quantise_gates):
    done = build_reduced(built, Precision("int8", calibration, quantise_gates))
    graph, gates = Graph(done.content), gate_shapes(network)
    convolutions = graph.of("Conv")
    inside = [node for node in convolutions if graph.weight(node).shape in gates]
    outside = [node for node in convolutions if graph.weight(node).shape not in gates]
    assert len(foveate.attached(network)) == 3
    assert len(inside) >= 6
    assert len(outside) >= 7
    for node in outside:
        assert graph.is_quantised(node.input[0])
        assert graph.is_quantised(node.input[1])
        assert graph.weight(node).dtype == np.int8
        scales = graph.arrays[graph.makers[node.input[1]].input[1]]
        assert scales.shape == (graph.weight(node).shape[0],)  # one for each output channel
    for node in inside:
        assert graph.is_quantised(node.input[1]) == quantise_gates
        assert graph.weight(node).dtype == (np.int8 if quantise_gates else np.float32)
    sigmoids = graph.of("Sigmoid")
    assert len(sigmoids) >= 3
    for node in sigmoids:
        assert graph.is_quantised(node.input[0]) == quantise_gates
        assert ("QuantizeLinear" in graph.readers(node.output[0])) == quantise_gates
    (last,) = graph.of("Gemm")
    assert graph.is_quantised(last.input[1])
    assert done.about.gates.precision == ("int8" if quantise_gates else "fp32")
    assert (done.about.gates.sites, done.about.opset) == (3, 18)
    assert {entry.domain for entry in graph.model.opset_import} == {""}


def test_weights_of_a_channel_are_the_nearest_of_its_255_values(network, built, calibration):
    graph = Graph(build_reduced(built, Precision("int8", calibration)).content)
    first = graph.of("Conv")[0]
    node = graph.makers[first.input[1]]
    stored, scales = graph.arrays[node.input[0]].astype(np.float64), graph.arrays[node.input[1]]
    norm = network.bn1
    factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().double().numpy()
    folded = network.conv1.weight.detach().double().numpy() * factor[:, None, None, None]
    scale = scales.astype(np.float64)[:, None, None, None]
    np.testing.assert_allclose(scales, np.abs(folded).max(axis=(1, 2, 3)) / 127.5, rtol=0.01)
    assert (np.abs(stored * scale - folded) <= 0.51 * scale).all()


def test_int8_says_by_how_much_it_differs_on_its_calibration_images(network, built, calibration):
    done = build_reduced(built, Precision("int8", calibration))
    session = onnxruntime.InferenceSession(done.content, providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(["logits"], {"images": calibration.numpy()})[0])
    with torch.no_grad():
        expected = network(calibration)
    about = done.about
    assert about.logits_difference == pytest.approx((found - expected).abs().max().item(), rel=0.01)
    assert about.largest_logit == pytest.approx(expected.abs().max().item(), rel=1e-5)
    assert about.logits_difference > 1e-3  # which no float32 file may
    assert about.calibration.images == 24
    assert about.calibration.same_class == int((found.argmax(1) == expected.argmax(1)).sum())
    assert {shape[0] for shape in about.checked} == {1, 2, 3, 5}
    lines = in_lines(about)
    assert "int8" in lines[0]
    assert lines[-1].startswith(f"{about.calibration.same_class} of these 24 images")
    assert json.dumps(about.to_json())


def test_half_precision_keeps_float32_at_its_ends(network, built):
    done = build_reduced(built, Precision("fp16"))
    graph = Graph(done.content)
    (into,), (out,) = graph.model.graph.input, graph.model.graph.output
    for value in (into, out):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert {graph.weight(node).dtype for node in graph.of("Conv")} == {np.dtype(np.float16)}
    assert len(done.content) < len(built.content)
    assert 1e-6 < done.about.logits_difference < 0.05
    assert done.about.calibration is None
    props = {entry.key: entry.value for entry in graph.model.metadata_props}
    assert props["precision"] == "fp16"
    assert json.loads(props["outputs"]) == ["logits"]


def test_what_half_precision_cannot_hold_leaves_no_file(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        network[3].bias.fill_(1e5)  # more than the largest number, 65504
    with pytest.raises(WorkError, match="in fp16.* differs from the network"):
        export(network, tmp_path / "x.onnx", "onnx", image_size=8, precision="fp16")
    assert list(tmp_path.iterdir()) == []


def test_networks_own_attention_counts_as_gates():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), SqueezeExcite(8), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    done = build_reduced(build(network, "onnx", image_size=16), Precision("int8", images(4, 1, 16, 16)))
    graph = Graph(done.content)
    assert done.about.gates.sites == 1
    (sigmoid,) = graph.of("Sigmoid")
    assert not graph.is_quantised(sigmoid.input[0])
    assert [graph.weight(node).dtype for node in graph.of("Conv")] == [
        np.int8,
        np.float32,
        np.float32,
        np.int8,
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "int4"}, "unknown precision 'int4'"),
        ({"precision": "int8"}, r"int8 needs images .*: give calibration="),
        ({"precision": "int8", "calibration": images(4, 3, 16, 16)}, r"\(4, 3, 16, 16\).*\(N, 1, H, W\)"),
        ({"precision": "int8", "calibration": images(1, 16, 16)}, r"\(N, 1, H, W\)"),
        ({"precision": "int8", "calibration": images(0, 1, 16, 16)}, r"\(N, 1, H, W\)"),
        (
            {"precision": "int8", "calibration": torch.zeros(4, 1, 16, 16, dtype=torch.uint8)},
            "of torch.uint8",
        ),
        ({"precision": "int8", "calibration": torch.zeros(4, 1, 16, 16)}, "all pixels .* are equal"),
        ({"precision": "int8", "calibration": images(4, 1, 16, 16) / 0}, "not finite"),
        ({"precision": "fp16", "calibration": images(4, 1, 16, 16)}, "are for precision int8"),
        ({"precision": "fp16", "quantise_gates": True}, "quantised in int8 alone"),
        ({"precision": "int8", "format": "exported-program"}, "is for the format onnx"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(tmp_path, given, message):
    given, steps = {"format": "onnx", **given}, []
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(RequestError, match=message):
        export(network, tmp_path / "x", given.pop("format"), on_step=steps.append, **given)
    assert steps == []
    assert list(tmp_path.iterdir()) == []


def test_file_is_as_it_was_where_the_images_do_not_fit(tmp_path: Path):
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(72, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.conv(x).flatten(1))

    (tmp_path / "x").write_text("old")
    with pytest.raises(RequestError, match=r"does not take the calibration images .*\(4, 1, 9, 9\)"):
        export(
            Sized(), tmp_path / "x", "onnx", image_size=8, precision="int8", calibration=images(4, 1, 9, 9)
        )
    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    done = export(
        Sized(), tmp_path / "x", "onnx", image_size=8, precision="int8", calibration=images(4, 1, 8, 8)
    )
    assert done.axes["height"] == "8"
    assert done.bytes == (tmp_path / "x").stat().st_size
    assert done.gates.sites == 0


def test_attention_that_the_graph_does_not_name_is_not_quantised_by_mistake(built, calibration):
    """The graph of another exporter, without the paths of modules."""
    proto = onnx.load_from_string(built.content)
    for node in proto.graph.node:
        del node.metadata_props[:]
    nameless = built._replace(content=proto.SerializeToString())
    with pytest.raises(WorkError, match=r"does not say which .*bn2.attention, and the gates stay in float32"):
        build_reduced(nameless, Precision("int8", calibration))
    done = build_reduced(nameless, Precision("int8", calibration, quantise_gates=True))
    assert done.about.gates == ("int8", 3, 0)
