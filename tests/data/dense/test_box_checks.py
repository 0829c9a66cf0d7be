"""Invalid boxes are found and named, and boxes that stick out are clipped."""

import json

import numpy as np
import pytest

from foveate.data.dense.box_checks import Fault, check_boxes, refuse_fractions
from foveate.data.dense.boxes import read_boxes
from foveate.errors import RequestError

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("box", "fault", "clipped"),
    [
        ([0, 0, 40, 30], Fault.NONE, [0, 0, 40, 30]),
        ([39, 29, 40, 30], Fault.NONE, [39, 29, 40, 30]),
        ([1, 2, 1.5, 2.25], Fault.NONE, [1, 2, 1.5, 2.25]),
        ([-5, -6, 4, 3], Fault.NONE, [0, 0, 4, 3]),
        ([30, 20, 50, 60], Fault.NONE, [30, 20, 40, 30]),
        ([5, 5, 5, 9], Fault.NO_AREA, None),
        ([5, 5, 9, 5], Fault.NO_AREA, None),
        ([5, 5, 4, 9], Fault.NO_AREA, None),
        ([-1e308, 5, -1e308, 9], Fault.NO_AREA, None),
        ([1000.0, 5, 1000.00000001, 9], Fault.OUTSIDE, None),
        ([16.0, 5, 16.00000001, 9], Fault.NO_AREA, None),  # as float32
        ([40, 5, 45, 9], Fault.OUTSIDE, None),
        ([5, 30, 9, 31], Fault.OUTSIDE, None),
        ([-9, 5, 0, 9], Fault.OUTSIDE, None),
        ([5, -9, 9, 0], Fault.OUTSIDE, None),
        ([NAN, 5, 9, 9], Fault.NOT_FINITE, None),
        ([1, 5, INF, 9], Fault.NOT_FINITE, None),
        ([-1e308, 5, 1e308, 9], Fault.NONE, [0, 5, 40, 9]),
    ],
)
def test_one_box(box, fault, clipped):
    found = check_boxes(np.array([box], dtype=np.float64), np.array([[40, 30]]))
    assert found.faults.tolist() == [fault]
    if clipped:
        assert found.boxes.tolist() == [clipped]
        assert found.clipped == (clipped != box)


def test_half_a_pixel_beyond_the_border_is_rounding():
    boxes = np.array([[-0.5, 0, 5, 5], [0, 0, 40.5, 30.5], [0, 0, 40.6, 5], [0, -0.6, 5, 5]])
    found = check_boxes(boxes, np.array([[40, 30]] * 4))
    assert found.clipped == 2
    assert found.boxes.tolist() == [[0, 0, 5, 5], [0, 0, 40, 30], [0, 0, 40, 5], [0, 0, 5, 5]]


def test_each_box_has_the_limits_of_its_image():
    found = check_boxes(np.array([[5.0, 5, 20, 9]] * 2), np.array([[40, 30], [10, 30]]))
    assert found.boxes.tolist() == [[5, 5, 20, 9], [5, 5, 10, 9]]


def test_no_boxes_are_valid():
    found = check_boxes(np.zeros((0, 4)), np.zeros((0, 2), dtype=np.int64))
    assert (found.boxes.shape, found.clipped) == ((0, 4), 0)


@pytest.mark.parametrize(
    "boxes", [[[0, 0, 1, 1.5]], [[0.1, 0.1, 0.2, 0.2], [1, 2, 3, 4]], [[-0.1, 0, 1, 1]], [], [[NAN] * 4]]
)
def test_pixels_are_no_fractions(boxes):
    refuse_fractions("train.json", np.array(boxes, dtype=np.float64).reshape(-1, 4), "COCO")


@pytest.fixture
def invalid(save, tmp_path):
    """A set of which boxes 2 to 4 of the training part are invalid, and box 5 sticks out."""
    boxes = [[1, 1, 4, 4], [5, 5, 0, 3], [NAN, 1, 2, 2], [16, 20, 2, 2], [12, 12, 9, 9]]
    for part in ("train", "val"):
        for k in range(2):
            save(f"{part}/{k}.png")
        own = boxes if part == "train" else boxes[:1]
        content = {
            "images": [{"id": k, "file_name": f"{k}.png"} for k in range(2)],
            "annotations": [
                {"id": k, "image_id": k % 2, "category_id": 1, "bbox": box}
                for k, box in enumerate(own, start=1)
            ],
            "categories": [{"id": 1, "name": "cell"}],
        }
        (tmp_path / f"{part}.json").write_text(json.dumps(content))
    return tmp_path


def test_invalid_boxes_are_excluded_and_named(invalid):
    found = read_boxes(invalid)
    first, second = found.parts["train"].boxes
    assert first.boxes.tolist() == []
    assert second.boxes.tolist() == [[1, 1, 5, 5], [12, 12, 16, 16]]
    assert second.areas.tolist() == [16, 16]
    exclusion, clipped = found.notes
    assert exclusion.is_exclusion
    assert exclusion.text == (
        "3 of 5 boxes in train.json are invalid and were excluded: "
        "train.json, annotation 2: the box 5, 5, 5, 8 has no area: 0×3 pixels; "
        "train.json, annotation 3: the box nan, 1, nan, 3 has a coordinate that is not a finite number; "
        "train.json, annotation 4: the box 16, 20, 18, 22 lies outside of its image of 16×16 pixels."
    )
    assert not clipped.is_exclusion
    assert clipped.text == "1 of 5 boxes in train.json stick out of their images and were clipped."


def test_invalid_boxes_are_refused_on_request(invalid):
    with pytest.raises(
        RequestError, match="3 of 5 boxes in train.json are invalid: .*annotation 2.*Correct or"
    ):
        read_boxes(invalid, refuse_invalid=True)


def test_a_part_with_invalid_boxes_alone_is_refused(invalid):
    content = json.loads((invalid / "val.json").read_text())
    content["annotations"][0]["bbox"] = [20, 20, 3, 3]
    (invalid / "val.json").write_text(json.dumps(content))
    with pytest.raises(RequestError, match="val.json has no boxes that are valid for its images"):
        read_boxes(invalid)
