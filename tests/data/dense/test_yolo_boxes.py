"""Boxes in YOLO's format: fractions of the image, polygons, parts of the YAML file, and wrong rows."""

import numpy as np
import pytest

from foveate.data.dense.boxes import find_boxes, read_boxes
from foveate.errors import RequestError

YAML = "path: .\ntrain: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n"


@pytest.fixture
def yolo(save, tmp_path):
    """Write images of 40×20 pixels and their rows in images/PART and labels/PART."""

    def yolo(train, val=("1 0.5 0.5 0.2 0.2", "0 0.5 0.5 0.2 0.2"), yaml=YAML, name="data.yaml"):
        for part, files in (("train", train), ("val", val)):
            for k, text in enumerate(files):
                save(f"images/{part}/{k}.png", size=(40, 20))
                path = tmp_path / f"labels/{part}/{k}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                if text is not None:
                    path.write_text(text)
        if yaml:
            (tmp_path / name).write_text(yaml)
        return tmp_path

    return yolo


ROWS = ("1 0.5 0.5 0.25 0.5\n\n0 0.25 0.75 0.1 0.2\n", None, "")


def test_boxes_are_fractions_of_the_image(yolo):
    root = yolo(ROWS)
    assert find_boxes(root) == "yolo"
    found = read_boxes(root)
    assert (found.classes, found.categories) == (("cat", "dog"), (0, 1))
    train = found.parts["train"]
    assert train.ids == (1, 2, 3)
    first, *empty = train.boxes
    # Centre (20, 10), size (10, 10); centre (10, 15), size (4, 4).
    np.testing.assert_allclose(first.boxes, [[15, 5, 25, 15], [8, 13, 12, 17]], rtol=1e-6)
    assert first.labels.tolist() == [1, 0]
    np.testing.assert_allclose(first.areas, [100, 16], rtol=1e-6)
    assert not first.crowd.any()
    assert [len(one) for one in empty] == [0, 0]
    assert list(found.notes) == []


def test_a_polygon_is_read_as_the_box_around_it(yolo):
    root = yolo(["0 0.5 0.25 0.75 0.5 0.25 1.0\n1 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.4", "0 0.5 0.5 0.1 0.1"])
    boxes = read_boxes(root).parts["train"].boxes[0].boxes
    np.testing.assert_allclose(boxes, [[10, 5, 30, 20], [4, 2, 8, 8]], rtol=1e-6)


def test_keypoints_after_a_box_are_not_read(yolo):
    row = "0 0.5 0.5 0.2 0.2 0.9 0.9 2 0.1 0.1 2\n1 0.5 0.5 0.2 0.2 0 0 0 0 0 0"
    root = yolo([row, row], yaml=f"{YAML}kpt_shape: [2, 3]\n")
    boxes = read_boxes(root).parts["train"].boxes[0].boxes
    np.testing.assert_allclose(boxes, [[16, 8, 24, 12]] * 2, rtol=1e-6)


@pytest.mark.parametrize(
    "yaml",
    [
        "train: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n",
        "path: ../datasets/gone\ntrain: images/train\nval: images/val\nnames: {1: dog, 0: cat}\n",
        "train: ../images/train\nval: ../images/val\nnc: 2\nnames: ['cat', 'dog']\n",
        "path: images\ntrain: [train]\nval: val\ntest:\nnames: [cat, dog]\n",
        "train: lists/train.txt\nval: lists/val.txt\nnames: [cat, dog]\n",
    ],
    ids=["mapping", "moved", "roboflow", "list", "text"],
)
def test_forms_of_the_yaml_file(yolo, yaml):
    root = yolo(ROWS, yaml=yaml, name="pets.yaml")
    (root / "lists").mkdir()
    (root / "lists/train.txt").write_text("".join(f"./images/train/{k}.png\n" for k in range(3)))
    (root / "lists/val.txt").write_text(f"../images/val/0.png\n{root}/images/val/1.png")
    found = read_boxes(root)
    assert found.classes == ("cat", "dog")
    counts = {role: [len(one) for one in part.boxes] for role, part in found.parts.items()}
    assert counts == {"train": [2, 0, 0], "validation": [1, 1]}


def test_labels_may_lie_beside_the_images(save, tmp_path):
    for part in ("train", "val"):
        for k in range(2):
            save(f"{part}/{k}.png", size=(40, 20))
            (tmp_path / part / f"{k}.txt").write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text("train: train\nval: val\nnames: [cat]\n")
    assert [len(one) for one in read_boxes(tmp_path).parts["validation"].boxes] == [1, 1]


def test_the_last_folder_called_images_is_replaced(save, tmp_path):
    for part in ("train", "val"):
        for k in range(2):
            save(f"images/{part}/images/{k}.png", size=(40, 20))
            path = tmp_path / f"images/{part}/labels/{k}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("0 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val/images\nnames: [cat]\n")
    assert {role: len(part) for role, part in read_boxes(tmp_path).parts.items()} == {
        "train": 2,
        "validation": 2,
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 0.5 0.5 0.1", "labels/train/1.txt, line 2 has 4 numbers: expected 5, class cx cy w h"),
        ("0 0.5 0.5 0.1 0.1 0.9", "line 2 has 6 numbers"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "line 2 has 8 numbers"),
        ("dog 0.5 0.5 0.1 0.1", "line 2: 'dog 0.5 0.5 0.1 0.1' has something else than numbers"),
        ("2 0.5 0.5 0.1 0.1", "line 2: the class is 2, and data.yaml names 2 classes, 0 to 1"),
        ("-1 0.5 0.5 0.1 0.1", "line 2: the class is -1"),
        ("0.5 0.5 0.5 0.1 0.1", "line 2: the class is 0.5"),
        ("nan 0.5 0.5 0.1 0.1", "line 2: the class is nan"),
    ],
)
def test_wrong_rows_are_refused(yolo, row, message):
    good = "0 0.5 0.5 0.1 0.1\n"
    with pytest.raises(RequestError, match=message):
        read_boxes(yolo([good, good + row]))


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        (YAML.replace("nc: 2", "nc: 3"), "data.yaml: `nc` is 3, and `names` has 2 classes"),
        (
            YAML.replace("[cat, dog]", "{0: cat, 2: dog}"),
            "the numbers of its names are 0, 2: expected 0 to 1",
        ),
        (YAML.replace("[cat, dog]", "[cat, cat]"), "cat is the name of several classes"),
        (YAML.replace("[cat, dog]", "coco.names"), "expected `names` as a list"),
        (YAML.replace("images/train", "image/train"), "no images in image/train, its train part"),
        (YAML.replace("images/train", "x" * 9000), "no images in x*, its train part"),
        (YAML.replace("path: .", "path: " + "x" * 9000).replace("images/val", "none"), "no images in none"),
        (YAML.replace("images/val", "images/valid"), "no images in images/valid, its validation part"),
        (YAML.replace("train: images/train", "train: {a: b}"), "expected `train` to be a folder"),
        (YAML + "  - x: [", "data.yaml is not YAML"),
    ],
)
def test_wrong_yaml_is_refused(yolo, yaml, message):
    with pytest.raises(RequestError, match=message):
        read_boxes(yolo(ROWS, yaml=yaml))


def test_a_test_part_that_is_not_there_is_excluded_by_name(yolo):
    found = read_boxes(yolo(ROWS, yaml=f"{YAML}test: test-dev2017.txt\n"))
    assert set(found.parts) == {"train", "validation"}
    (note,) = found.notes
    assert note.is_exclusion
    assert note.text.startswith("data.yaml names test-dev2017.txt as its test part")


def test_a_test_part_without_labels_is_excluded(yolo, save):
    save("images/test/9.png")
    found = read_boxes(yolo(ROWS, yaml=f"{YAML}test: images/test\n"))
    assert set(found.parts) == {"train", "validation"}
    assert [note.text for note in found.notes] == [
        "The images of the test part have no labels and were excluded (1)."
    ]


def test_a_list_with_missing_images_is_refused(yolo):
    root = yolo(ROWS, yaml=YAML.replace("images/train", "train.txt"))
    (root / "train.txt").write_text("images/train/0.png\nimages/train/7.png\n")
    with pytest.raises(
        RequestError, match=r"train.txt lists 1 of 2 images that are not there: images/train/7"
    ):
        read_boxes(root)


def test_pixels_are_refused(yolo):
    with pytest.raises(RequestError, match=r"labels/train/0.txt, line 1.: they are in pixels, and YOLO has"):
        read_boxes(yolo(["0 20 10 10 10", "1 12 10 6 4"]))


def test_a_part_without_labels_is_refused(yolo):
    with pytest.raises(RequestError, match="train of data.yaml has no boxes for its images .2.: add"):
        read_boxes(yolo([None, None]))


def test_two_descriptions_are_refused(yolo):
    root = yolo(ROWS, name="one.yaml")
    (root / "two.yaml").write_text(YAML)
    with pytest.raises(RequestError, match="one.yaml, two.yaml may all describe the set"):
        read_boxes(root)
    (root / "data.yaml").write_text(YAML)
    assert len(read_boxes(root).parts["train"]) == 3


def test_other_yaml_is_not_yolo(yolo):
    assert find_boxes(yolo(ROWS, yaml="seed: 3\ntrain: images\n", name="study.yaml")) is None
