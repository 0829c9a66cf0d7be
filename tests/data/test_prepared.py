import os

import numpy as np
import pytest
import torch
from PIL import Image

from foveate.data.greys import GreyRange
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
    images, labels, unreadable = prepared.read("fog", 3, np.array([1, 3]))
    expected = torch.from_numpy(arrays["fog"][[9, 11]].transpose(0, 3, 1, 2)) / 255
    assert torch.equal(images, expected)
    assert unreadable == []
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
        ({"labels": np.full(20, 3)}, "expected 0 to 2, one for each of 3 classes"),
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
    with pytest.raises(RequestError, match=r"fog.npy is not an array of numbers"):
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
    images, labels, _ = prepared.read("fog", 5, np.array([1, 4]))
    assert images.shape == (2, 3, 8, 8)
    assert (images[:, :, 0, 0] * 255).round().tolist() == [[50, 0, 1], [50, 80, 0]]
    assert labels.tolist() == [0, 2]
    assert prepared.exclusions == ()


def test_classes_and_images_that_cannot_be_taken_are_left_out_by_name(tmp_path):
    write_folder(tmp_path, classes=("cat", "zebra"))
    (tmp_path / "fog/1/cat/0.png").write_bytes(b"no image")
    prepared = open_prepared(tmp_path, CLASSES, 8, 3)
    images, labels, unreadable = prepared.read("fog", 1, np.arange(2))
    assert (len(images), labels.tolist()) == (1, [0])
    (classes,) = prepared.exclusions
    assert "zebra" in classes
    (image,) = unreadable
    assert image.startswith("fog/1/cat/0.png: it is not an image of a known format")


def test_wide_greys_are_read_by_the_range_of_the_set_that_was_trained_on(tmp_path):
    (tmp_path / "fog/1/cat").mkdir(parents=True)
    Image.fromarray(np.full((8, 8), 819, np.uint16)).save(tmp_path / "fog/1/cat/0.png")
    known = open_prepared(tmp_path, CLASSES, 8, 1, greys=GreyRange(0, 4095))
    assert (known.read("fog", 1, np.array([0]))[0] * 255).round().unique() == 51
    _, _, unreadable = open_prepared(tmp_path, CLASSES, 8, 1).read("fog", 1, np.array([0]))
    assert "more than 8 bits, and the range of values of its set is unknown" in unreadable[0]


def test_classes_are_found_under_another_spelling(tmp_path):
    write_folder(tmp_path, classes=("cafe\u0301", "cat"))
    assert open_prepared(tmp_path, ("caf\xe9", "cat"), 8, 3).labels("fog", 1).tolist() == [0, 0, 1, 1]


def test_numbered_classes_go_by_the_order_of_the_folders(tmp_path):
    write_folder(tmp_path)
    assert open_prepared(tmp_path, ("0", "1", "2"), 8, 3).labels("fog", 1).tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(RequestError, match="none is in both"):
        open_prepared(tmp_path, ("0", "1"), 8, 3)


def test_numbered_folders_are_the_classes_called_so_whatever_the_order_of_the_classes(tmp_path):
    names = [f"n{number:02}" for number in range(12)]
    classes = sorted(map(str, range(12)))
    write_folder(tmp_path, names, severities=(1,))
    prepared = open_prepared(tmp_path, classes, 8, 3)
    assert [classes[label] for label in prepared.labels("fog", 1)[::2]] == [str(k) for k in range(12)]
    assert "n00 as 0, n01 as 1, n02 as 2" in prepared.assumed


def test_labels_are_the_classes_called_so_whatever_the_order_of_the_classes(tmp_path):
    classes = sorted(map(str, range(12)))
    assert classes[2] == "10"
    write_arrays(tmp_path, count=12, labels=np.tile(np.arange(12), 5))
    prepared = open_prepared(tmp_path, classes, 8, 3)
    assert [classes[label] for label in prepared.labels("fog", 1)] == [str(k) for k in range(12)]
    assert prepared.read("fog", 2, np.array([10]))[1].tolist() == [2]
    assert prepared.assumed is None
    natural = open_prepared(tmp_path, [str(k) for k in range(12)], 8, 3)
    assert natural.identity("fog") != prepared.identity("fog"), "the same labels mean other places"


def test_labels_of_named_classes_go_by_their_order_which_is_said(tmp_path):
    write_arrays(tmp_path)
    prepared = open_prepared(tmp_path, CLASSES, 8, 3)
    assert prepared.labels("fog", 1).tolist() == [0, 1, 2, 0]
    assert prepared.assumed == (
        f"{tmp_path}/labels.npy has only numbers, which were read in the order of the classes: "
        "0 as cat, 1 as dog, 2 as owl."
    )


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        ([0, 1, 0, 1], CLASSES, "the labels 0, 1: expected 0 to 2"),
        ([1, 2, 3, 1], CLASSES, "1, 2, 3: expected 0 to 2"),
        (
            [0, 1, 2, 3],
            ("1", "2", "3"),
            "labels.npy has 0, and no class is called so: the classes are 1, 2, 3",
        ),
    ],
)
def test_labels_that_may_mean_other_classes_are_refused(tmp_path, labels, classes, words):
    write_arrays(tmp_path, labels=np.tile(labels, 5))
    with pytest.raises(RequestError, match=rf"{words}.*--classes FILE"):
        open_prepared(tmp_path, classes, 8, 3)


def test_a_file_says_which_class_a_label_or_a_folder_is(tmp_path):
    naming = tmp_path / "classes.yaml"
    naming.write_text("{5: owl, 7: cat}")
    write_arrays(tmp_path / "a", labels=np.tile([5, 7, 7, 5], 5))
    prepared = open_prepared(tmp_path / "a", CLASSES, 8, 3, naming)
    assert prepared.labels("fog", 1).tolist() == [2, 0, 0, 2]
    assert prepared.assumed is None
    naming.write_text("{5: owl}")
    with pytest.raises(RequestError, match="does not say which class 7 of"):
        open_prepared(tmp_path / "a", CLASSES, 8, 3, naming)
    naming.write_text("{n1: dog, n2: [cat]}")
    write_folder(tmp_path / "b", ("n1", "n2", "n3"), severities=(1,))
    with pytest.raises(RequestError, match="'n2': expected the name of one class"):
        open_prepared(tmp_path / "b", CLASSES, 8, 3, naming)
    naming.write_text("{n1: dog, n2: cat}")
    prepared = open_prepared(tmp_path / "b", CLASSES, 8, 3, naming)
    assert prepared.labels("fog", 1).tolist() == [1, 1, 0, 0]
    assert "n3" in prepared.exclusions[0]


def test_identity_is_of_the_pixels_and_labels(tmp_path):
    arrays = write_arrays(tmp_path / "a")
    write_arrays(tmp_path / "b")

    def identity(name):
        return open_prepared(tmp_path / name, CLASSES, 8, 3).identity("fog")

    first = identity("a")
    assert first == identity("b")
    write_arrays(tmp_path / "b", speckle_noise=arrays["fog"])
    assert first == identity("b"), "another corruption's images do not decide"
    other = arrays["fog"].copy()
    other[7, 0, 0, 0] ^= 1
    write_arrays(tmp_path / "a", fog=other)
    assert first != identity("a"), "an array of the same size was put in its place"
    write_arrays(tmp_path / "b", labels=np.roll(arrays["labels"], 1))
    assert first != identity("b")


def test_identity_is_of_size_and_time_of_many_files(tmp_path):
    write_folder(tmp_path)
    first = open_prepared(tmp_path, CLASSES, 8, 3).identity("fog")
    assert first == open_prepared(tmp_path, CLASSES, 8, 3).identity("fog")
    assert first != open_prepared(tmp_path, CLASSES, 9, 3).identity("fog")
    file = tmp_path / "fog/1/cat/0.png"
    found = file.stat()
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1000))
    assert first != open_prepared(tmp_path, CLASSES, 8, 3).identity("fog")


@pytest.mark.parametrize("name", ["labels", "fog"])
def test_an_archive_under_an_arrays_name_is_refused(tmp_path, name):
    write_arrays(tmp_path)
    with (tmp_path / f"{name}.npy").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    with pytest.raises(RequestError, match=rf"{name}.npy is not an array"):
        open_prepared(tmp_path, CLASSES, 8, 3)
    (tmp_path / f"{name}.npy").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(RequestError, match=rf"{name}.npy is not an array"):
        open_prepared(tmp_path, CLASSES, 8, 3)


@pytest.mark.parametrize("name", ["clean", "noise_15"])
def test_names_of_what_is_made_here_are_refused(tmp_path, name):
    write_arrays(tmp_path / "a", **{name: np.zeros((20, 8, 8, 3), np.uint8)})
    write_folder(tmp_path / "b")
    (tmp_path / "b/fog").rename(tmp_path / "b" / name)
    for folder in ("a", "b"):
        with pytest.raises(RequestError, match=f"{name}.*made here: rename it"):
            open_prepared(tmp_path / folder, CLASSES, 8, 3)


def test_what_is_no_such_set_is_refused(tmp_path):
    with pytest.raises(RequestError, match="there is no folder"):
        open_prepared(tmp_path / "nowhere", CLASSES, 8, 3)
    with pytest.raises(RequestError, match="holds no prepared -C set"):
        open_prepared(tmp_path, CLASSES, 8, 3)
