import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

import foveate
from foveate.errors import RequestError
from foveate.models.backbones import create_backbone
from foveate.studies.find_trained import find_trained
from foveate.studies.trained import open_images, study_of

CPU = torch.device("cpu")
PREPROCESSING = {
    "input_size": [3, 32, 32],
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.2, 0.2],
    "crop_pct": 1.0,
    "crop_mode": "center",
    "interpolation": "bilinear",
}


def a_run(study: Path) -> Path:
    return sorted((study / "runs").glob("*/result.json"))[0].parent


def test_a_study_is_all_its_runs(trained_bands):
    found = find_trained([str(trained_bands)])
    assert [(one.label, one.seed) for one in found] == [("none", 0), ("se", 0), ("none", 1), ("se", 1)]
    assert study_of(found) == trained_bands
    assert {one.input_size for one in found} == {(1, 8, 8)}
    assert found[0].classes == ("high", "low", "middle")
    assert len({one.digest for one in found}) == 4


def test_a_run_is_the_network_that_was_tested(trained_bands):
    run = a_run(trained_bands)
    (one,) = find_trained([str(run)])
    images = torch.rand(2, 1, 8, 8)
    with torch.inference_mode():
        assert torch.equal(one.network(CPU)(images), foveate.load(run)(images))
    assert not one.network(CPU).training
    mean, std = one.mean[0], one.std[0]
    assert torch.allclose(one.normalise(images), (images - mean) / std)


def test_images_are_those_of_the_runs(trained_bands):
    data = open_images(find_trained([str(trained_bands)]))
    assert (len(data.test), data.image_size) == (18, 8)


def test_images_that_changed_are_refused(trained_bands, bands, tmp_path):
    moved = tmp_path / "study"
    shutil.copytree(trained_bands, moved)
    other = tmp_path / "bands"
    shutil.copytree(bands, other)
    (other / "test" / "low" / "0.png").unlink()
    for record in moved.glob("runs/*/result.json"):
        record.write_text(record.read_text().replace(str(bands), str(other)))
    with pytest.raises(RequestError, match=r"have changed since. Give --data"):
        open_images(find_trained([str(moved)]))
    assert len(open_images(find_trained([str(moved)]), str(other)).test) == 17


def test_images_of_other_classes_are_refused(trained_bands):
    with pytest.raises(RequestError, match=r"knows 3 classes .high, low, middle. and digits has 10"):
        open_images(find_trained([str(trained_bands)]), "digits")


def test_a_file_of_ones_own(tmp_path):
    model = foveate.attach(create_backbone("cifar_resnet8", classes=2), "eca")
    foveate.save(model, tmp_path / "mine.safetensors", classes=["a", "b"], preprocessing=PREPROCESSING)
    (one,) = find_trained([str(tmp_path / "mine.safetensors")])
    assert (one.name, one.label, one.seed) == ("mine", "eca", None)
    assert (one.backbone, one.classes, one.input_size) == ("cifar_resnet8", ("a", "b"), (3, 32, 32))
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(one.network(CPU)(images), model.eval()(images))


def test_bare_weights_with_the_name_of_their_network(tmp_path):
    model = create_backbone("cifar_resnet8_se", classes=4)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "bare.safetensors")
    (one,) = find_trained([f"cifar_resnet8_se={tmp_path / 'bare.safetensors'}"])
    assert (one.label, one.classes) == ("se", ("0", "1", "2", "3"))
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(one.network(CPU)(images), model.eval()(images))


def test_networks_from_elsewhere_are_told_apart_by_name(tmp_path):
    for name in ("first", "second"):
        model = create_backbone("cifar_resnet8", classes=2)
        foveate.save(model, tmp_path / f"{name}.safetensors", preprocessing=PREPROCESSING)
    found = find_trained([str(tmp_path / f"{name}.safetensors") for name in ("first", "second")])
    assert [one.label for one in found] == ["first", "second"]
    assert study_of(found) is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("no/such/folder", "there is no no/such/folder"),
        ("resnet5", "resnet50"),
        ("cifar_resnet8=nowhere.safetensors", "nowhere.safetensors"),
    ],
)
def test_what_is_no_network_is_named(source, words):
    with pytest.raises(RequestError, match=words):
        find_trained([source])


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    with pytest.raises(RequestError, match=r"holds no study, no finished run and no weights.safetensors"):
        find_trained([str(tmp_path)])


def test_a_run_given_twice_is_named(trained_bands):
    run = a_run(trained_bands)
    with pytest.raises(RequestError, match=f"{run.name} was given more than once"):
        find_trained([str(trained_bands), str(run)])


def test_networks_that_take_other_images_are_refused(trained_bands, tmp_path):
    model = create_backbone("cifar_resnet8", classes=3)
    foveate.save(model, tmp_path / "mine.safetensors", preprocessing=PREPROCESSING)
    found = find_trained([str(a_run(trained_bands)), str(tmp_path / "mine.safetensors")])
    with pytest.raises(RequestError, match=r"differ in input size: 3, 32, 32 and 1, 8, 8"):
        open_images(found)
