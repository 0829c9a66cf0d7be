"""`foveate export` and `foveate list` as a person gives them: what is printed where, files, exit statuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import timm
import torch

from command_line import foveate
from foveate.models.checkpoint.save_load import load, save


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with the weights of a network for 16 pixels."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run [1]")
    network = timm.create_model("cifar_resnet20_eca", num_classes=3)
    network.pretrained_cfg["input_size"] = (3, 16, 16)
    save(network, folder / "weights.safetensors", classes=["a", "b", "ö"])
    return folder


def test_export_of_a_run_prints_json_alone_and_tells_people_the_rest(run: Path) -> None:
    done = foveate("export", str(run), "--out", "models/digits.onnx", "--json", "-", cwd=run, COLUMNS="100")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["path"] == "models/digits.onnx"
    assert summary["axes"] == {"batch": "any", "height": "any", "width": "any"}
    assert summary["logits_difference"] < 1e-4
    assert summary["checked"][0] == [1, 3, 16, 16]
    lines = done.stderr.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["reading", "tracing", "converting", "checking"]
    assert f"reading {run} …" in lines
    assert lines[4].startswith("models/digits.onnx: onnx, opset 18, ")
    assert lines[5].startswith("largest difference from the network ")
    assert len(lines) == 6  # and none of the exporters' chatter
    session = onnxruntime.InferenceSession(run / "models" / "digits.onnx")
    images = torch.randn(3, 3, 21, 30)
    with torch.no_grad():
        expected = load(run)(images)
    (logits,) = session.run(None, {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), expected, atol=1e-5, rtol=0)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["a", "b", "ö"]


def test_export_of_a_file_as_a_program(
    run: Path,
    in_process: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    arguments = [
        "weights.safetensors",
        "--format",
        "exported-program",
        "--image-size",
        "8",
        "--json",
        "x.json",
    ]
    assert in_process("export", *arguments, folder=run) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "weights.pt2: exported-program, " in out
    assert json.loads((run / "x.json").read_text())["checked"][0] == [1, 3, 8, 8]
    assert (run / "weights.pt2").stat().st_size > 1e6


def test_int8_is_calibrated_with_the_validation_images_of_the_run(
    trained_bands: Path, tmp_path: Path, in_process: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    results = [json.loads(path.read_text()) for path in trained_bands.glob("runs/*/result.json")]
    result = next(one for one in results if one["spec"]["attention"]["name"] == "se")
    arguments = [str(trained_bands / "runs" / result["id"]), "--out", "se.onnx", "--precision", "int8"]
    assert in_process("export", *arguments, "--json", "x.json", folder=tmp_path) == 0
    out, err = capfd.readouterr()
    assert err == ""
    done, images = json.loads((tmp_path / "x.json").read_text()), result["data"]["validation"]
    assert 0 < images < 60
    assert done["calibrated_with"] == f"{images} validation images of bands"
    assert out.splitlines()[0] == f"calibrating with {images} validation images of bands …"
    assert done["calibration"]["images"] == images
    assert done["gates"] == {"precision": "fp32", "sites": 3, "operators": 18}
    assert done["logits_difference"] > 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "se.onnx")
    assert session.get_modelmeta().custom_metadata_map["precision"] == "int8"
    few = [*arguments, "--calibration-images", "2", "--quantise-gates", "--json", "y.json"]
    assert in_process("export", *few, folder=tmp_path) == 0
    done = json.loads((tmp_path / "y.json").read_text())
    assert done["calibrated_with"] == "2 validation images of bands"
    assert done["gates"]["precision"] == "int8"


def test_int8_of_weights_without_images_says_what_to_do(
    run: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["weights.safetensors", "--precision", "int8", "--out", "no.onnx"]
    assert in_process("export", *arguments, folder=run) == 2
    assert "does not say which images it is for: give --data" in capsys.readouterr().err
    assert not (run / "no.onnx").exists()


def test_int8_of_weights_alone_is_calibrated_with_images_that_are_not_tested_on(
    trained_bands: Path, bands: Path, tmp_path: Path, in_process: Callable[..., int]
) -> None:
    weights = next(trained_bands.glob("runs/*/weights.safetensors"))
    shutil.copy(weights, tmp_path / "alone.safetensors")
    arguments = ["alone.safetensors", "--data", str(bands), "--precision", "int8", "--json", "x.json"]
    assert in_process("export", *arguments, folder=tmp_path) == 0
    assert json.loads((tmp_path / "x.json").read_text())["calibrated_with"] == "60 training images of bands"


def test_a_wrong_request_ends_with_2_in_one_line(
    run: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(run), "--out", "wrong", "--format", "tensorrt"]
    assert in_process(*arguments, folder=run) == 2
    assert capsys.readouterr().err == "foveate: unknown format 'tensorrt'. Choices: exported-program, onnx.\n"
    assert not (run / "wrong").exists()


def test_failed_work_ends_with_1(
    run: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk refuses the name of the file while it is written: it is too long with its ending."""
    out = "x" * 248 + ".pt2"
    arguments = ["export", str(run), "--format", "exported-program", "--out", out]
    assert in_process(*arguments, folder=run) == 1
    assert capsys.readouterr().err.startswith(f"foveate: cannot write {out}: File name too long")
    assert not list(run.glob("xx*"))


def test_list_shows_all_and_writes_json(
    tmp_path: Path,
    in_process: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert in_process("list", "--json", "x.json", folder=tmp_path) == 0
    said = capsys.readouterr()
    assert said.err == ""
    described = json.loads((tmp_path / "x.json").read_text())
    names = [row["name"] for row in described["mechanisms"]]
    assert names == sorted(names)
    first_words = [line.split()[0] for line in said.out.splitlines() if line.split()]
    assert [word for word in first_words if word in names] == names
    assert max(map(len, said.out.splitlines())) <= 100
