import numpy as np
import pytest
import torch
from PIL import Image

from foveate.data.prepared import ArrayCorruptions, FolderCorruptions, open_prepared
from foveate.errors import RequestError

CLASSES = ("cat", "dog", "owl")


def write_arrays(folder, count=4, side=8, **changed):
    random = np.random.default_rng(0)
    arrays = {
        "fog": random.integers(0, 256, (5 * count, side, side, 3), dtype=np.uint8),
        "speckle_noise": np.zeros((5 * count, side, side, 3), np.uint8),
        "labels": np.tile(np.arange(count) % 3, 5).astype(np.uint8),
    } | changed
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        if array is not None:
            np.save(folder / f"{name}.npy", array)
    return arrays


def write_folder(folder, classes=CLASSES, severities=(1, 5), size=(20, 12)):
    for severity in severities:
        for number, name in enumerate(classes):
            place = folder / "fog" / str(severity) / name
            place.mkdir(parents=True)
            for index in range(2):
                Image.new("RGB", size, (10 * severity, 40 * number, index)).save(place / f"{index}.png")


def test_severities_lie_one_after_the_other(tmp_path):
    arrays = write_arrays(tmp_path)
    prepared = open_prepared(tmp_path, CLASSES, 8, 3)
    assert isinstance(prepared, ArrayCorruptions)
    assert prepared.corruptions == ("fog", "speckle_noise")
    images, labels = prepared.read("fog", 3, np.array([1, 3]))
    expected = torch.from_numpy(arrays["fog"][[9, 11]].transpose(0, 3, 1, 2)) / 255
    assert torch.equal(images, expected)
    assert labels.tolist() == [1, 0]
    assert prepared.labels("fog", 5).tolist() == [0, 1, 2, 0]
    assert isinstance(prepared._arrays["fog"], np.memmap)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fog": np.zeros((20, 9, 8, 3), np.uint8)}, "fog.npy holds uint8"),
        ({"fog": np.zeros((19, 8, 8, 3), np.uint8)}, "fog.npy holds uint8"),
        ({"fog": np.zeros((20, 8, 8, 3))}, "fog.npy holds float64"),
        ({"labels": np.zeros(19, np.uint8)}, "labels of 5 severities"),
        ({"labels": np.zeros((20, 1), np.uint8)}, "labels of 5 severities"),
        ({"labels": np.full(20, 3)}, "other labels than those of 3 classes"),
        ({"fog": None, "speckle_noise": None}, "no CORRUPTION.npy"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, changed, words):
    write_arrays(tmp_path, **changed)
    with pytest.raises(RequestError, match=words):
        open_prepared(tmp_path, CLASSES, 8, 3)


def test_nothing_is_unpickled(tmp_path):
    write_arrays(tmp_path)
    np.save(tmp_path / "fog.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(RequestError, match=r"fog.npy is no array of plain numbers"):
        open_prepared(tmp_path, CLASSES, 8, 3)


def test_grey_networks_take_no_colour_arrays(tmp_path):
    write_arrays(tmp_path)
    with pytest.raises(RequestError, match="colour"):
        open_prepared(tmp_path, CLASSES, 8, 1)


def test_a_folder_of_images_by_corruption_severity_and_class(tmp_path):
    write_folder(tmp_path)
    prepared = open_prepared(tmp_path, CLASSES, 8, 3)
    assert isinstance(prepared, FolderCorruptions)
    assert prepared.corruptions == ("fog",)
    assert prepared.has("fog", 5)
    assert not prepared.has("fog", 2)
    assert prepared.labels("fog", 5).tolist() == [0, 0, 1, 1, 2, 2]
    images, labels = prepared.read("fog", 5, np.array([1, 4]))
    assert images.shape == (2, 3, 8, 8)
    assert (images[:, :, 0, 0] * 255).round().tolist() == [[50, 0, 1], [50, 80, 0]]
    assert labels.tolist() == [0, 2]
    assert prepared.left_out == []


def test_classes_and_images_that_cannot_be_taken_are_left_out_by_name(tmp_path):
    write_folder(tmp_path, classes=("cat", "zebra"))
    (tmp_path / "fog/1/cat/0.png").write_bytes(b"no image")
    prepared = open_prepared(tmp_path, CLASSES, 8, 3)
    images, labels = prepared.read("fog", 1, np.arange(2))
    assert (len(images), labels.tolist()) == (1, [0])
    classes, image = prepared.left_out
    assert "zebra" in classes
    assert "0.png was left out: it is not an image of a known format" in image


def test_numbered_classes_go_by_the_order_of_the_folders(tmp_path):
    write_folder(tmp_path)
    assert open_prepared(tmp_path, ("0", "1", "2"), 8, 3).labels("fog", 1).tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(RequestError, match="none is in both"):
        open_prepared(tmp_path, ("0", "1"), 8, 3)


def test_identity_follows_the_files(tmp_path):
    write_arrays(tmp_path / "a")
    write_arrays(tmp_path / "b")
    first, same = (open_prepared(tmp_path / name, CLASSES, 8, 3).identity for name in "ab")
    write_arrays(tmp_path / "b", count=5)
    assert first == same != open_prepared(tmp_path / "b", CLASSES, 8, 3).identity


def test_what_is_no_such_set_is_refused(tmp_path):
    with pytest.raises(RequestError, match="there is no folder"):
        open_prepared(tmp_path / "nowhere", CLASSES, 8, 3)
    with pytest.raises(RequestError, match="holds no prepared -C set"):
        open_prepared(tmp_path, CLASSES, 8, 3)
