"""Boxes in COCO's format: what is read, by hand, and each way in which a file can be wrong."""

import json

import numpy as np
import pytest

from foveate.data.dense.boxes import read_boxes
from foveate.errors import RequestError

CATEGORIES = [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}]


def image(number, name, **more):
    return {"id": number, "file_name": name, "width": 40, "height": 30} | more


def annotation(number, image, category, bbox, **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox} | more


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return write


@pytest.fixture
def coco(save, write):
    """Write train.json and val.json, two images of 40×30 pixels each; keys replace those of train.json."""

    def coco(annotations=None, *, images=None, categories=None, val=None, **more):
        for name in ("train/a.png", "train/b.png", "val/a.png", "val/b.png"):
            save(name, size=(40, 30))
        content = {
            "images": images or [image(11, "a.png"), image(7, "b.png")],
            "annotations": annotations
            or [annotation(1, 7, 3, [1, 2, 10, 5]), annotation(2, 7, 9, [0.5, 1.25, 3, 4])],
            "categories": categories or CATEGORIES,
        }
        held = {
            "images": [image(1, "a.png"), image(2, "b.png")],
            "annotations": [annotation(1, 2, 9, [4, 4, 8, 8])],
            "categories": CATEGORIES,
        }
        write("train.json", content | more)
        return write("val.json", held | (val or {}))

    return coco


def test_boxes_ids_classes_and_numbers_of_categories(coco):
    found = read_boxes(coco())
    assert (found.classes, found.categories) == (("cat", "dog"), (3, 9))
    assert list(found.parts) == ["train", "validation"]
    train = found.parts["train"]
    assert [path.name for path in train.images] == ["a.png", "b.png"]
    assert train.ids == (11, 7)
    empty, two = train.boxes
    assert (len(empty), empty.boxes.shape) == (0, (0, 4))
    assert two.boxes.tolist() == [[1, 2, 11, 7], [0.5, 1.25, 3.5, 5.25]]
    assert two.labels.tolist() == [0, 1]
    assert two.areas.tolist() == [50, 12]
    assert two.crowd.tolist() == [False, False]
    kinds = [two.boxes.dtype, two.labels.dtype, two.areas.dtype, two.crowd.dtype]
    assert kinds == [np.float32, np.int64, np.float32, np.bool_]
    assert list(found.notes) == []


def test_areas_and_crowds_are_those_of_the_file(coco):
    runs = {"counts": [5, 1195], "size": [30, 40]}
    root = coco(
        [
            annotation(1, 7, 3, [1, 2, 10, 5], area=31.5),
            annotation(2, 7, 9, [0, 0, 40, 30], iscrowd=1, segmentation=runs),
            annotation(3, 11, 9, [0, 0, 4, 3], iscrowd=0, area=None),
        ]
    )
    a, b = read_boxes(root).parts["train"].boxes
    assert (b.areas.tolist(), b.crowd.tolist()) == ([31.5, 1200], [False, True])
    assert (a.areas.tolist(), a.crowd.tolist()) == ([12], [False])


def test_a_box_that_is_not_stated_is_that_around_the_polygons(coco):
    polygons = [[5, 6, 9, 6, 9, 20], [2, 8, 3, 8, 3, 7.5]]
    root = coco(
        [annotation(1, 7, 3, [], segmentation=polygons, area=30), annotation(2, 7, 9, [0, 0, 3, 3])],
    )
    assert read_boxes(root).parts["train"].boxes[1].boxes[0].tolist() == [2, 6, 9, 20]


def test_numbers_may_be_floats(coco):
    root = coco(
        [annotation(1, 7.0, 3.0, [1.0, 2, 3.5, 4]), annotation(2, 7, 9, [1, 1, 2, 2])],
        images=[image(11.0, "a.png", width=40.0), image(7, "b.png")],
    )
    train = read_boxes(root).parts["train"]
    assert train.ids == (11, 7)
    assert train.boxes[1].boxes[0].tolist() == [1, 2, 4.5, 6]


def test_ids_that_are_no_numbers_are_counted_from_1(coco):
    root = coco(
        [annotation(1, "x", 3, [1, 2, 3, 4]), annotation(2, "y", 9, [1, 1, 2, 2])],
        images=[image("y", "a.png"), image("x", "b.png")],
    )
    train = read_boxes(root).parts["train"]
    assert train.ids == (1, 2)
    assert [one.labels.tolist() for one in train.boxes] == [[1], [0]]


def test_classes_of_files_are_matched_by_name(coco):
    root = coco(
        val={
            "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
            "annotations": [annotation(1, 1, 2, [0, 0, 2, 2]), annotation(2, 1, 1, [0, 0, 3, 3])],
        }
    )
    found = read_boxes(root)
    assert found.categories == (3, 9)
    assert found.parts["validation"].boxes[0].labels.tolist() == [0, 1]
    assert any("matched by name" in note.text for note in found.notes)


def test_classes_without_boxes_are_excluded_by_name(coco):
    found = read_boxes(coco(categories=[{"id": 0, "name": "pets"}, *CATEGORIES, {"id": 4, "name": "cow"}]))
    assert (found.classes, found.categories) == (("cat", "dog"), (3, 9))
    (note,) = found.notes
    assert note.is_exclusion
    assert note.text == "Classes without any box were excluded: pets, cow."


def test_a_category_of_the_set_may_have_the_name_of_a_class(coco):
    found = read_boxes(coco(categories=[{"id": 0, "name": "cat"}, *CATEGORIES]))
    assert (found.classes, found.categories) == (("cat", "dog"), (3, 9))


def test_a_test_part_without_annotations_is_excluded(coco, write, save):
    save("test/c.png", size=(40, 30))
    coco()
    root = write("test.json", {"images": [image(1, "c.png")], "categories": CATEGORIES})
    found = read_boxes(root)
    assert set(found.parts) == {"train", "validation"}
    (note,) = found.notes
    assert note.is_exclusion
    assert note.text == "test.json has no annotations: its images were excluded (1)."


def test_images_that_no_file_lists_are_named(coco, save):
    save("val/extra.png")
    (note,) = read_boxes(coco()).notes
    assert note.text == "Images that the annotation files do not list were excluded (1): extra.png."


GOOD = annotation(9, 7, 9, [1, 1, 2, 2])


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([annotation(5, 99, 3, [1, 2, 3, 4])], "train.json, annotation 5: no image has the id 99.*1 annot"),
        ([annotation(5, [7], 3, [1, 2, 3, 4])], r"annotation 5: no image has the id \[7\]"),
        (
            [annotation(5, 7, 4, [1, 2, 3, 4])],
            "annotation 5: no category has the id 4; the categories are 3, 9",
        ),
        (
            [annotation(5, 7, 3, [1, 2, 3])],
            r"annotation 5: bbox is \[1, 2, 3\]: expected four numbers in pix",
        ),
        ([annotation(5, 7, 3, ["1", 2, 3, 4])], r"annotation 5: bbox is \['1', 2, 3, 4\]: expected four"),
        ([annotation(5, 7, 3, [1, 2, 3, True])], "annotation 5: bbox is .*: expected four"),
        (
            [annotation(5, 7, 3, [10**400, 2, 3, 4])],
            "annotation 5: bbox is .10+[.]{3}0+, 2, 3, 4.: expected four",
        ),
        ([annotation(5, 7, 3, None)], "annotation 5 has no bbox, and no polygons"),
        (
            [annotation(5, 7, 3, None, segmentation={"counts": [1], "size": [30, 40]})],
            "annotation 5 has no bbox, and no polygons to find it from .a mask as run lengths",
        ),
        (
            [annotation(5, 7, 3, [0.1, 0.2, 0.5, 0.25])],
            "train.json lie in 0..1: they are normalised, and COCO",
        ),
    ],
)
def test_wrong_annotations_are_refused(coco, annotations, message):
    with pytest.raises(RequestError, match=message):
        read_boxes(coco(annotations))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": [image(1, "a.png"), image(1, "b.png")]}, "a.png and b.png have the same id, 1"),
        (
            {"images": [image(1, "a.png"), {"id": 2}]},
            "image number 2 of the list has no `id` or no `file_name",
        ),
        (
            {"images": [image(7, "a.png"), image(8, "x.png")]},
            "train.json lists 1 of 2 images that are not ther",
        ),
        ({"images": [image(7, "a.png"), image(8, "a.png")]}, "a.png is listed twice, in train.json"),
        ({"images": [image(7, "a.png", width=80, height=60)]}, "says that a.png has 80×60.* file has 40×30"),
        ({"images": [image(7, "a.png"), image(8, "\0/b.png")]}, "lists 1 of 2 images that are not there"),
        (
            {"images": [image(7, "a.png"), image(8, "x" * 9000 + "/b.png")]},
            "cannot be read: File name too long",
        ),
        ({"categories": [{"id": "3", "name": "cat"}]}, "a category is .*expected a whole number `id`"),
        ({"categories": [*CATEGORIES, {"id": 9, "name": "cow"}]}, "number 9 is both 'dog' and 'cow'"),
        (
            {"categories": [{"id": 3, "name": "cat"}, {"id": 9, "name": "cat"}]},
            "categories 3 and 9 are both called 'cat'",
        ),
        ({"categories": "cat"}, "expected an object with lists .* and it has no such categories"),
        ({"annotations": [1]}, "and it has no such annotations"),
    ],
)
def test_wrong_lists_are_refused(coco, content, message):
    with pytest.raises(RequestError, match=message):
        read_boxes(coco(**content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [\n{"id": 1,, }]}', "train.json is not JSON: .* in line 2, column 10"),
        ('{"images": [' + "[" * 100_000, "train.json is not JSON of COCO's format: .*recursion"),
        ('{"images": [], "annotations": [], "categories": []}', "train.json lists no images"),
    ],
)
def test_files_that_are_no_coco_json_are_refused(coco, write, text, message):
    coco()
    with pytest.raises(RequestError, match=message):
        read_boxes(write("train.json", text))


def test_a_part_without_annotations_is_refused(coco):
    with pytest.raises(RequestError, match="val.json has no boxes for its images .2.: add"):
        read_boxes(coco(val={"annotations": []}))


def test_a_class_of_the_held_out_part_alone_is_refused(coco):
    root = coco([annotation(1, 7, 3, [1, 2, 10, 5])])
    with pytest.raises(RequestError, match=r"only the validation part \(val.json\) has boxes of 'dog'"):
        read_boxes(root)


def test_corners_in_place_of_sizes_are_refused(coco):
    corners = [annotation(1, 7, 3, [20, 5, 30, 28]), annotation(2, 7, 9, [30, 20, 39, 25])]
    with pytest.raises(RequestError, match="2 of 2 boxes stick out .* all fit as x0, y0, x1, y1"):
        read_boxes(coco(corners))


def test_one_image_cannot_be_split(save, write):
    save("images/a.png", size=(40, 30))
    content = {"images": [image(1, "a.png")], "annotations": [annotation(1, 1, 3, [1, 2, 3, 4])]}
    root = write("all.json", content | {"categories": CATEGORIES})
    with pytest.raises(RequestError, match="has one image, which cannot be split"):
        read_boxes(root)
