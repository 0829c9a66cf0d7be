"""Where the annotation files of COCO's format lie, and the images that belong to each."""

import json

import pytest

from foveate.data.dense.boxes import find_boxes, read_boxes
from foveate.data.dense.coco_files import find_coco_files
from foveate.errors import RequestError


@pytest.fixture
def part(save, tmp_path):
    """Write an annotation file with a box of 2×3 pixels in each of some images, and the images."""

    def part(file, folder, names=("a.png", "b.png"), prefix=""):
        for name in names:
            save(f"{folder}/{name}")
        images = [{"id": k, "file_name": prefix + name} for k, name in enumerate(names)]
        boxes = [{"id": k, "image_id": k, "category_id": 1, "bbox": [k, 4, 2, 3]} for k in range(len(names))]
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        categories = [{"id": 1, "name": "cell"}]
        path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
        return tmp_path

    return part


def layout(root):
    """The images of each part, relative to the root."""
    assert find_boxes(root) == "coco"
    found = read_boxes(root)
    return {role: [str(path.relative_to(root)) for path in one.images] for role, one in found.parts.items()}


@pytest.mark.parametrize(
    ("files", "folders", "prefix"),
    [
        (("train.json", "validation.json"), ("train", "validation"), ""),
        (("train.json", "val.json"), ("train", "valid"), ""),
        (("train.json", "valid.json"), ("images/train", "images/valid"), ""),
        (("train.json", "val.json"), ("images/training", "images/valid"), ""),
        (("train.json", "val.json"), ("images", "images"), ""),
        (("annotations/train.json", "annotations/val.json"), (".", "."), ""),
        (("annotations/instances_train2017.json", "annotations/instances_val2017.json"), "yz", ""),
        (("train/_annotations.coco.json", "valid/_annotations.coco.json"), ("train", "valid"), ""),
        (("train/labels.json", "val/labels.json"), ("train/data", "val/data"), ""),
        (("train.json", "val.json"), ("pictures/one", "pictures/two"), "pictures/"),
    ],
)
def test_layouts(part, files, folders, prefix):
    if folders == "yz":
        folders = ("train2017", "val2017")
    expected = {}
    for role, file, folder, name in zip(("train", "validation"), files, folders, "ab", strict=True):
        names = (f"{name}1.png", f"{name}2.png")
        root = part(file, folder, names, f"pictures/{folder[9:]}/" if prefix else "")
        expected[role] = [f"{folder}/{one}".removeprefix("./") for one in names]
    assert layout(root) == expected


def test_coco_as_it_is_distributed(part, tmp_path):
    for name in ("train2017", "val2017"):
        root = part(f"annotations/instances_{name}.json", name)
        part(f"annotations/person_keypoints_{name}.json", name)
        part(f"annotations/captions_{name}.json", name)
    (root / "annotations/image_info_test2017.json").write_text('{"images": [{"id": 1}]}')
    assert list(layout(root)) == ["train", "validation"]
    (note,) = read_boxes(root).notes
    assert note.is_exclusion
    assert "image_info_test2017.json" in note.text


def test_one_file_is_one_part(part):
    assert layout(part("result.json", "images")) == {"train": ["images/a.png", "images/b.png"]}


def test_a_file_without_the_name_of_a_part_is_named(part):
    part("train.json", "train")
    root = part("backup.json", "train")
    assert list(layout(root)) == ["train"]
    (note,) = read_boxes(root).notes
    assert note.text == "Annotation files without the name of a part were excluded: backup.json."


def test_names_with_backslashes(part):
    root = part("train.json", "train/deep", prefix="deep\\")
    assert layout(root) == {"train": ["train/deep/a.png", "train/deep/b.png"]}


def test_two_files_for_a_part_are_refused(part):
    part("train.json", "train")
    root = part("annotations/instances_training.json", "train")
    with pytest.raises(
        RequestError, match=r"instances_training.json are both its train part|are both its tr"
    ):
        find_coco_files(root)


def test_two_files_in_the_folder_of_a_part_are_refused(part):
    part("train/one.json", "train")
    root = part("train/two.json", "train")
    with pytest.raises(RequestError, match="the folder train has 2 annotation files, one.json, two.json"):
        find_coco_files(root)


def test_files_whose_names_say_no_part_are_refused(part):
    part("first.json", "images")
    root = part("second.json", "images")
    with pytest.raises(RequestError, match="first.json, second.json do not say which part each is"):
        find_coco_files(root)


def test_missing_images_are_named_with_the_folders(part):
    root = part("train.json", "train", [f"{k}.png" for k in range(30)])
    for k in (3, 17):
        (root / f"train/{k}.png").unlink()
    said = "train.json lists 2 of 30 images that are not there: 3.png, 17.png. They were looked for in train"
    with pytest.raises(RequestError, match=said):
        read_boxes(root)


@pytest.mark.parametrize("text", ["[]", '{"images": 3}', '{"cat": "dog"}', '["images", "annotations"]', ""])
def test_other_json_is_not_coco(tmp_path, text):
    (tmp_path / "train.json").write_text(text)
    assert find_boxes(tmp_path) is None


def test_a_json_file_for_each_image_is_not_coco(tmp_path):
    for k in range(40):
        (tmp_path / f"{k}.json").write_text('{"images": [], "shapes": []}')
    assert find_boxes(tmp_path) is None
