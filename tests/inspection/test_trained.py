import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image

import foveate
from foveate.errors import RequestError
from foveate.inspection.find_trained import find_trained
from foveate.inspection.trained import assumed_order, open_images, study_of
from foveate.models.backbones.create import create_backbone

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


@pytest.fixture
def copied(trained_bands, tmp_path):
    """A copy of the study, and the folders of its runs by mechanism and seed."""
    shutil.copytree(trained_bands, tmp_path / "study")
    records = [json.loads(path.read_text()) for path in (tmp_path / "study").glob("runs/*/result.json")]
    runs = tmp_path / "study" / "runs"
    places = {(one["spec"]["attention"]["label"], one["spec"]["seed"]): runs / one["id"] for one in records}
    return tmp_path / "study", places


def test_weights_of_another_mechanism_are_refused_by_name(copied):
    study, runs = copied
    shutil.copy(runs["se", 0] / "weights.safetensors", runs["none", 0])
    with pytest.raises(RequestError, match=r"holds weights of se, and .* run \w+ \(baseline, seed 0\)"):
        find_trained([str(study)])


def test_weights_of_a_run_of_0_1_0_are_compared_by_mechanism(copied):
    study, runs = copied
    for folder in runs.values():
        record = json.loads((folder / "result.json").read_text())
        del record["weights_sha256"]
        (folder / "result.json").write_text(json.dumps(record))
    assert len(find_trained([str(study)])) == 4
    shutil.copy(runs["none", 0] / "weights.safetensors", runs["se", 0])
    with pytest.raises(RequestError, match="holds weights of the baseline"):
        find_trained([str(study)])


def test_weights_of_another_seed_and_flipped_bits_are_refused(copied):
    study, runs = copied
    own = (runs["none", 0] / "weights.safetensors").read_bytes()
    shutil.copy(runs["none", 1] / "weights.safetensors", runs["none", 0])
    with pytest.raises(RequestError, match=r"is not the file that run \w+ \(baseline, seed 0\) wrote"):
        find_trained([str(study)])
    flipped = bytearray(own)
    flipped[-3] ^= 1
    (runs["none", 0] / "weights.safetensors").write_bytes(flipped)
    with pytest.raises(RequestError, match="its checksum is another"):
        find_trained([str(runs["none", 0])])


def test_the_record_of_another_run_is_refused(copied):
    study, runs = copied
    shutil.copy(runs["se", 1] / "result.json", runs["none", 0])
    for source in (study, runs["none", 0]):
        with pytest.raises(RequestError, match="is the record of another run: of se, seed 1"):
            find_trained([str(source)])


def test_a_run_that_was_moved_out_of_its_study_is_read(copied, tmp_path):
    _, runs = copied
    shutil.copytree(runs["se", 1], tmp_path / "kept")
    (one,) = find_trained([str(tmp_path / "kept")])
    assert (one.label, one.seed) == ("se", 1)


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
    with pytest.raises(RequestError, match=r"have changed since, or it is a run on others. Give --data"):
        open_images(find_trained([str(moved)]))
    assert len(open_images(find_trained([str(moved)]), str(other)).test) == 17


def test_images_of_other_classes_are_refused(trained_bands):
    with pytest.raises(RequestError, match=r"knows 3 classes \(high, low, middle\) and digits has 10"):
        open_images(find_trained([str(trained_bands)]), "digits")


def test_a_file_of_ones_own(tmp_path):
    model = foveate.attach(create_backbone("cifar_resnet8", classes=2), "eca")
    foveate.save(model, tmp_path / "mine.safetensors", classes=["a", "b"], preprocessing=PREPROCESSING)
    (one,) = find_trained([str(tmp_path / "mine.safetensors")])
    assert (one.name, one.label, one.mechanisms, one.seed) == ("mine", "eca", ("eca",), None)
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
        (" ", "an empty name was given"),
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
    with pytest.raises(
        RequestError,
        match=r"takes images of 32×32 pixels in 3 channels and \w+ of 8×8 pixels in 1 channel: give networks",
    ):
        open_images(found)


def save_small(path: Path, attention: str | None = None, **settings: object) -> Path:
    """A file of a network for the images of `bands`."""
    model = create_backbone("cifar_resnet8", classes=3, channels=1)
    if attention:
        foveate.attach(model, attention)
    said = PREPROCESSING | {"input_size": [1, 8, 8], "mean": [0.5], "std": [0.2]}
    path.parent.mkdir(exist_ok=True)
    foveate.save(model, path, preprocessing=said, **settings)
    return path


def test_files_of_one_name_have_that_of_their_folders_too(tmp_path):
    paths = [str(save_small(tmp_path / folder / "best.safetensors")) for folder in ("a", "b")]
    assert [one.name for one in find_trained(paths)] == ["a/best", "b/best"]
    with pytest.raises(RequestError, match="a/best was given more than once"):
        find_trained([paths[0]] * 2)


def test_numbered_classes_are_those_of_the_images_in_their_order(trained_bands, tmp_path):
    file = save_small(tmp_path / "mine.safetensors")
    for order in ([str(file), str(a_run(trained_bands))], [str(a_run(trained_bands)), str(file)]):
        found = find_trained(order)
        assert len(open_images(found).test) == 18
        assert study_of(found) == trained_bands
    named = save_small(tmp_path / "named.safetensors", classes=["low", "high", "middle"])
    with pytest.raises(RequestError, match=r"named knows 3 classes \(low, high, middle\) and"):
        open_images(find_trained([str(a_run(trained_bands)), str(named)]))


def numbered_images(folder: Path, numbers: range) -> str:
    """A set of folders called by numbers, whose images are of that brightness."""
    for part in ("train", "test"):
        for number in numbers:
            (folder / part / str(number)).mkdir(parents=True)
            for k in range(2):
                Image.new("L", (8, 8), 10 * number + k).save(folder / part / str(number) / f"{k}.png")
    return str(folder)


def save_numbered(path: Path, outputs: int, classes: list[str] | None = None) -> str:
    model = create_backbone("cifar_resnet8", classes=outputs, channels=1)
    preprocessing = PREPROCESSING | {"input_size": [1, 8, 8], "mean": [0.5], "std": [0.2]}
    foveate.save(model, path, classes=classes, preprocessing=preprocessing)
    return str(path)


@pytest.mark.parametrize("memory_limit", [0, 1 << 30])
def test_output_n_is_the_class_called_n(tmp_path, memory_limit):
    """Folders are sorted as text, 10 before 2, and outputs are counted."""
    images = numbered_images(tmp_path / "set", range(12))
    trained = find_trained([save_numbered(tmp_path / "a.safetensors", 12)])
    data = open_images(trained, images, memory_limit=memory_limit)
    pixels, labels = data.test.__getitems__(range(24))
    assert data.classes == tuple(map(str, range(12)))
    assert labels.tolist() == [int(level) // 10 for level in pixels[:, 0, 0, 0]]
    assert assumed_order(trained, data.classes) is None


def test_names_decide_where_sets_have_their_classes_in_another_order(tmp_path):
    images = numbered_images(tmp_path / "set", range(3))
    trained = find_trained([save_numbered(tmp_path / "a.safetensors", 3, ["2", "0", "1"])])
    data = open_images(trained, images)
    assert data.classes == ("2", "0", "1")
    assert data.test.labels.tolist() == [1, 1, 2, 2, 0, 0]


def test_numbers_that_are_no_outputs_are_refused(tmp_path):
    images = numbered_images(tmp_path / "set", range(1, 4))
    trained = find_trained([save_numbered(tmp_path / "a.safetensors", 3)])
    with pytest.raises(RequestError, match=r"knows 3 classes \(0, 1, 2\) and set has 3 \(1, 2, 3\)"):
        open_images(trained, images)


def test_the_order_of_unnamed_outputs_is_said(trained_bands, tmp_path):
    trained = find_trained([str(a_run(trained_bands)), save_numbered(tmp_path / "a.safetensors", 3)])
    said = assumed_order(trained, open_images(trained).classes)
    assert said is not None
    assert "What a can answer has only numbers" in said
    assert "0 as high, 1 as low, 2 as middle" in said
    assert assumed_order(trained[:1], ("high", "low", "middle")) is None


def test_a_label_says_the_same_network_but_for_the_mechanism(trained_bands, tmp_path):
    plain = save_small(tmp_path / "mine.safetensors")
    se = save_small(tmp_path / "other.safetensors", "se")
    assert [one.label for one in find_trained([str(plain), str(se)])] == ["none", "se"]
    assert [one.label for one in find_trained([str(a_run(trained_bands)), str(se)])][1] == "other"
    larger = foveate.attach(create_backbone("cifar_resnet20", classes=3), "se")
    foveate.save(larger, tmp_path / "larger.safetensors", preprocessing=PREPROCESSING)
    mixed = find_trained([str(plain), str(tmp_path / "larger.safetensors")])
    assert [one.label for one in mixed] == ["mine", "larger"]


def test_weights_of_a_network_that_ends_with_a_convolution(tmp_path):
    model = create_backbone("torchvision/squeezenet1_1", classes=4)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "bare.safetensors")
    (one,) = find_trained([f"torchvision/squeezenet1_1={tmp_path / 'bare.safetensors'}"])
    assert len(one.classes) == 4
    assert one.is_numbered
