"""Detectors as ONNX: what onnxruntime finds is what the network finds."""

import onnx
import onnxruntime
import pytest
import torch
from dense_networks import small
from torch import nn

import foveate
from foveate.errors import WorkError
from foveate.models.dense import attach_dense
from foveate.models.export.detectors import compare_detections


def spread(name: str) -> nn.Module:
    """A detector whose scores differ, as they do after training."""
    network = small(
        name, "cifar_resnet8", **{"box_score_thresh" if name == "fasterrcnn" else "score_thresh": 0.02}
    )
    for weights in network.parameters():
        if weights.ndim > 1:
            nn.init.kaiming_normal_(weights, nonlinearity="linear")
    return attach_dense(network, "se", "both", where="stage").eval()


@torch.no_grad()
@pytest.mark.parametrize("name", ["fasterrcnn", "fcos"])
def test_onnxruntime_finds_the_same_boxes_at_several_sizes(tmp_path, name):
    network, path = spread(name), tmp_path / "detector.onnx"
    done = foveate.export(network, path, "onnx")
    assert done.axes == {"batch": "1", "height": "any", "width": "any"}
    assert done.checked == [[1, 3, 64, 64], [1, 3, 64, 128], [1, 3, 96, 64]]
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    images = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(3))
    expected = network(images)[0]
    names = [output.name for output in session.get_outputs()]
    assert names == list(expected) == [output.name for output in done.outputs]
    found = dict(zip(names, session.run(None, {"images": images.numpy()}), strict=True))
    best = 5
    assert len(expected["scores"]) >= best
    for key in ("boxes", "scores"):
        torch.testing.assert_close(
            torch.from_numpy(found[key][:best]), expected[key][:best], rtol=1e-3, atol=1e-3
        )
    assert found["labels"][:best].tolist() == expected["labels"][:best].tolist()
    declared = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert declared["network"] == f"detection/{name}"
    threshold = network.roi_heads.score_thresh if name == "fasterrcnn" else network.score_thresh
    assert threshold == 0.02
    assert min(found["scores"]) > threshold  # that of the file, too


def test_scores_that_are_all_alike_cannot_be_compared(tmp_path):
    network = small("retinanet", "cifar_resnet8")
    for layer in (network.head.classification_head.cls_logits, network.head.regression_head.bbox_reg):
        nn.init.zeros_(layer.weight)
    with pytest.raises(WorkError, match="could not be checked"):
        foveate.export(network, tmp_path / "x.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


@torch.no_grad()
@pytest.mark.parametrize(
    ("key", "by", "is_refused"),
    [("boxes", 0.01, False), ("boxes", 0.5, True), ("scores", 0.01, True), ("labels", 1, True)],
)
def test_detections_that_differ_have_no_counterpart(key, by, is_refused):
    network = spread("fasterrcnn")
    keys = ["boxes", "labels", "scores"]

    def run(images):
        answer = network(images)[0]
        return [answer[one] + by if one == key else answer[one] for one in keys]

    arguments = (network, run, keys, keys, [(3, 64, 64)], "it")
    if is_refused:
        with pytest.raises(WorkError, match="have no counterpart"):
            compare_detections(*arguments)
    else:
        parity = compare_detections(*arguments)
        largest = {one.name: one.difference for one in parity.outputs}
        assert largest == pytest.approx({"boxes": 0.01, "labels": 0, "scores": 0}, abs=1e-4)
