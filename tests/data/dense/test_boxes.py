"""The formats of images with boxes are found, and give the same boxes for the same set."""

import json
import subprocess
import sys

import numpy as np
import pytest

from foveate.data.dense.boxes import find_boxes, read_boxes
from foveate.errors import RequestError

BOXES = {
    "train": {"a": [(0, 2, 3, 10, 9)], "b": [(1, 0, 0, 16, 8), (0, 5, 5, 7, 6)]},
    "val": {"c": [(1, 1, 1, 2, 3)]},
}
"""Class and x0, y0, x1, y1 of the boxes of each image, which has 32×16 pixels."""
NAMES = ("cat", "dog")


@pytest.fixture
def sets(save, tmp_path):
    """The same set in each format, by its name."""
    for part, images in BOXES.items():
        listed, rows = [], []
        for number, (name, boxes) in enumerate(images.items(), start=1):
            for path in (f"coco/{part}", f"yolo/{part}/images", "voc/JPEGImages"):
                save(f"{path}/{name}.png", size=(32, 16))
            listed.append({"id": number, "file_name": f"{name}.png"})
            for label, x0, y0, x1, y1 in boxes:
                box = [x0, y0, x1 - x0, y1 - y0]
                rows.append({"image_id": number, "category_id": label + 1, "bbox": box})
            _write(
                tmp_path / f"yolo/{part}/labels/{name}.txt",
                "\n".join(
                    f"{label} {(x0 + x1) / 64} {(y0 + y1) / 32} {(x1 - x0) / 32} {(y1 - y0) / 16}"
                    for label, x0, y0, x1, y1 in boxes
                ),
            )
            objects = "".join(
                f"<object><name>{NAMES[label]}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
                f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
                for label, x0, y0, x1, y1 in boxes
            )
            _write(tmp_path / f"voc/Annotations/{name}.xml", f"<annotation>{objects}</annotation>")
        _write(tmp_path / f"voc/ImageSets/Main/{part}.txt", "\n".join(images))
        categories = [{"id": k, "name": name} for k, name in enumerate(NAMES, start=1)]
        content = {"images": listed, "annotations": rows, "categories": categories}
        _write(tmp_path / f"coco/{part}.json", json.dumps(content))
    _write(tmp_path / "yolo/data.yaml", "train: train/images\nval: val/images\nnames: [cat, dog]\n")
    return tmp_path


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["coco", "voc", "yolo"])
def test_formats_give_the_same_boxes(sets, name):
    assert find_boxes(sets / name) == name
    found = read_boxes(sets / name)
    assert (found.name, found.classes, list(found.notes)) == (name, NAMES, [])
    for role, part in (("train", "train"), ("validation", "val")):
        images = dict(
            zip([path.stem for path in found.parts[role].images], found.parts[role].boxes, strict=True)
        )
        assert set(images) == set(BOXES[part])
        for stem, boxes in BOXES[part].items():
            given = np.array(boxes)
            np.testing.assert_allclose(images[stem].boxes, given[:, 1:], atol=1e-5)
            assert images[stem].labels.tolist() == given[:, 0].tolist()
            sides = given[:, 3:] - given[:, 1:3]
            np.testing.assert_allclose(images[stem].areas, sides.prod(1), rtol=1e-5)


def test_a_set_may_lie_in_a_folder_of_its_own(sets):
    outer = sets / "outer" / "VOCdevkit"
    outer.mkdir(parents=True)
    (sets / "voc").rename(outer / "VOC2012")
    (sets / "outer/.cache").mkdir()
    assert find_boxes(sets / "outer") == "voc"
    found = read_boxes(sets / "outer")
    assert found.name == "VOC2012"
    (note,) = found.notes
    assert note.text == "All of the set lies in the folder VOCdevkit/VOC2012, which was read."


def test_of_several_formats_one_is_read_and_the_others_are_named(sets):
    (sets / "yolo/data.yaml").rename(sets / "coco/data.yaml")
    assert find_boxes(sets / "coco") == "coco"
    (note,) = read_boxes(sets / "coco").notes
    assert note.text == (
        "The boxes were read as COCO (JSON); those as YOLO (a YAML file and text files) were not read."
    )


def test_a_folder_without_boxes_is_refused(save, tmp_path):
    for name in ("cats", "dogs"):
        save(f"train/{name}/a.png")
    assert find_boxes(tmp_path) is None
    with pytest.raises(
        RequestError, match="there are no boxes in a known format. Expected train.json and val"
    ):
        read_boxes(tmp_path)
    with pytest.raises(RequestError, match="none cannot be read: No such file"):
        find_boxes(tmp_path / "none")


def test_finding_a_format_imports_no_torch(sets):
    code = (
        "import sys, pathlib; from foveate.data.dense.boxes import find_boxes; "
        f"print(find_boxes(pathlib.Path({str(sets / 'voc')!r})), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["voc", "False"]


def test_take_keeps_images_boxes_and_ids_together(sets):
    part = read_boxes(sets / "coco").parts["train"].take(np.array([1]))
    assert (part.ids, [path.stem for path in part.images], [len(one) for one in part.boxes]) == (
        (2,),
        ["b"],
        [2],
    )
