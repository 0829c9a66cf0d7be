"""Networks as they are deployed: a real study of tiny networks, and one network whose culprit is known."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from foveate.data import load_data, seen
from foveate.inspection.deployment.calibration import calibration_of
from foveate.inspection.deployment.engine import deploy
from foveate.inspection.deployment.forms import Deployed
from foveate.inspection.deployment.settings import DeploymentSettings
from foveate.inspection.examine import Work
from foveate.inspection.find_trained import find_trained
from foveate.inspection.images import images_beside_test
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, open_images
from foveate.models.checkpoint.save_load import save
from foveate.records.deployment import EAGER, DeployedRecord
from foveate.records.environment import Environment
from foveate.records.file_names import RUNS
from foveate.records.files import read_record
from foveate.records.scores import read_scores
from foveate.report.deployment.section import deployed_section


def measured(
    trained: list[Trained], folder: Path, data: str | None = None, **settings: object
) -> DeployedRecord:
    work = Work(
        trained,
        folder,
        torch.device("cpu"),
        "foveate deploy",
        Environment(processor="a processor"),
        lambda *_: None,
    )
    given = DeploymentSettings(**{"seconds": 0.0, **settings})
    return read_record(deploy(work, given, OtherImages(data=data)), DeployedRecord)


@pytest.fixture(scope="module")
def trained(trained_bands: Path) -> list[Trained]:
    return [one for one in find_trained([str(trained_bands)]) if one.seed == 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployed")


@pytest.fixture(scope="module")
def record(trained: list[Trained], folder: Path) -> DeployedRecord:
    return measured(trained, folder)


def test_every_network_answers_the_test_images_in_every_form(record, trained, trained_bands):
    assert record.left_out == ()
    assert len(record.accuracies) == 2 * 3
    assert {row.images for row in record.accuracies} == {18}
    for row in record.accuracies:
        eager = next(
            one for one in record.accuracies if one.key.form == EAGER and one.key.name == row.key.name
        )
        assert row.answers.mean() == pytest.approx(row.accuracy)
        assert row.lost == np.sum(eager.answers & ~row.answers)
        assert row.gained == np.sum(~eager.answers & row.answers)
        is_int8 = row.key.form.precision == "int8"
        assert (row.calibrated_with is not None) == is_int8
        if row.key.form == EAGER:
            kept = read_scores(trained_bands / RUNS / row.key.name)
            np.testing.assert_array_equal(row.answers, kept.correct)
        elif not is_int8:
            np.testing.assert_array_equal(row.answers, eager.answers)


def test_answers_in_int8_are_those_of_the_file_in_another_session(record, trained):
    one = next(one for one in trained if one.label == "se")
    row = next(
        row for row in record.accuracies if row.key.name == one.name and row.key.form.precision == "int8"
    )
    data = open_images(trained)
    deployed = Deployed(one, lambda: calibration_of(one, data, 128))
    session = onnxruntime.InferenceSession(deployed.file(row.key.form), providers=["CPUExecutionProvider"])
    canvases, labels = data.test.__getitems__(np.arange(18))
    images = one.normalise(seen(canvases, data.image_size))
    found = np.concatenate([session.run(None, {"images": image[None].numpy()})[0] for image in images])
    np.testing.assert_array_equal(found.argmax(axis=1) == labels.numpy(), row.answers)
    assert row.bytes == len(deployed.file(row.key.form))


def test_calibration_images_are_validation_images_of_the_run(trained, record):
    one, data = trained[0], open_images(trained)
    _, validation = data.split(one.spec.seed, one.spec.recipe.validation_fraction, 1.0)
    chosen = images_beside_test(one, data, 128, "")
    assert chosen.part == "validation"
    assert set(chosen.rows) == set(validation)
    found = calibration_of(one, data, 128)
    canvases, _ = data.validation_store.__getitems__(chosen.rows)
    expected = one.normalise(seen(canvases, data.image_size))
    torch.testing.assert_close(found.images, expected)
    calibrated = {row.calibrated_with for row in record.accuracies} - {None}
    assert calibrated == {f"{len(validation)} validation images of bands"}


def test_one_network_of_each_mechanism_is_timed_in_every_form(record):
    rows = {(row.label, row.key.form.name): row for row in record.latencies}
    forms = ("eager fp32", "onnxruntime fp32", "onnxruntime int8")
    assert set(rows) == {(label, form) for label in ("none", "se") for form in forms}
    assert {row.key.threads for row in rows.values()} == {1}
    assert {row.rounds for row in rows.values()} == {11}
    for (label, form), row in rows.items():
        assert 0 < row.p50 <= row.p95
        assert (row.eager_ratio == 1) == (form == "eager fp32")
        assert (row.baseline_ratio == 1) == (label == "none")


def test_what_was_measured_is_not_measured_again(record, trained, folder):
    again = measured(trained, folder)
    assert again.rows == record.rows
    assert json.loads((folder / "deployed.json").read_text()) == again.to_json()
    with_gates = measured(trained[-1:], folder, quantise_gates=True)
    assert len(with_gates.accuracies) == 3
    assert (
        with_gates.accuracies[:2]
        == [row for row in record.accuracies if row.key.name == trained[-1].name][:2]
    )
    assert with_gates.accuracies[2].key.form.gates == "int8"
    assert len(with_gates.kept) >= len(record.rows) - 2


def test_section_has_every_mechanism_in_every_form(record):
    section = deployed_section(record)
    assert any("every image the class that eager float32 gives it" in one for one in section.sentences)
    assert any(one.startswith("One image on 1 thread takes the baseline ") for one in section.sentences)
    accuracy, latency = section.tables[:2]
    assert len(accuracy.rows) == len(latency.rows) == 6
    assert [row[1].main for row in accuracy.rows[:3]] == [
        "eager float32",
        "ONNX Runtime float32",
        "ONNX Runtime int8",
    ]
    assert len(section.numbers["deployed"]) == 6
    assert section.summary["rows"][1]["attention"] == "se"


def fitted(seed: int = 0) -> nn.Module:
    """A classifier of digits, trained for some seconds without foveate."""
    torch.manual_seed(seed)
    network = timm.create_model("cifar_resnet8", num_classes=10, in_chans=1)
    data = load_data("digits")
    canvases, labels = data.train.__getitems__(np.arange(len(data.train)))
    images = (seen(canvases, 8) - 0.3) / 0.4
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(150):
        some = torch.randperm(len(images), generator=torch.Generator().manual_seed(step))[:64]
        optimizer.zero_grad()
        F.cross_entropy(network(images[some]), labels[some]).backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same function in float32, but one channel of layer2 is 5,000 times as large as the others."""
    network = fitted()
    block = network.layer2[0]
    images = (torch.rand(4, 1, 8, 8) - 0.3) / 0.4
    with torch.no_grad():
        before = network(images)
        block.bn1.weight[0] *= 5e3
        block.bn1.bias[0] *= 5e3
        block.conv2.weight[:, 0] /= 5e3
        torch.testing.assert_close(network(images), before, rtol=1e-3, atol=1e-3)
    path = tmp_path_factory.mktemp("damaged") / "damaged.safetensors"
    images_taken = {"input_size": (1, 8, 8), "mean": (0.3,), "std": (0.4,)}
    save(network, path, classes=list("0123456789"), backbone="cifar_resnet8", preprocessing=images_taken)
    return path


def test_the_stage_that_cannot_be_quantised_is_named(damaged, tmp_path):
    record = measured(find_trained([str(damaged)]), tmp_path, data="digits")
    eager, onnx, int8 = record.accuracies
    assert eager.accuracy > 0.9
    assert onnx.accuracy == eager.accuracy
    assert int8.accuracy < eager.accuracy - 0.03
    (blame,) = record.blames
    by_part = {one.part: one for one in blame.stages}
    assert {"layer1", "layer2", "layer3", "fc"} <= set(by_part)
    assert blame.part_of_data == "training"  # of digits, which has no validation part; none is tested on
    assert blame.images == 500
    recovered = by_part.pop("layer2").accuracy - blame.int8_accuracy
    assert recovered > 0.5 * (blame.float_accuracy - blame.int8_accuracy)
    assert all(one.accuracy - blame.int8_accuracy < recovered / 2 for one in by_part.values())
    assert [layer.part for layer in blame.layers] == ["layer2.0.bn1", "layer2.0.bn2", "layer2.0.downsample.1"]
    section = deployed_section(record)
    assert section.sentences[0].startswith("ONNX Runtime int8 loses more than 0.5 points of accuracy with")
    (named,) = [one for one in section.sentences if "Left in float32, layer2 recovers most" in one]
    assert named.endswith(
        "no layer of it recovers half of that alone."
    )  # the tensor lies between two of them
    assert [table.name for table in section.tables] == ["deployed", "deployed_latency", "deployed_parts"]
