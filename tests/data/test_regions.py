"""Boxes and masks: read, checked against their images, and seen as a network sees them."""

import json

import numpy as np
import pytest
from PIL import Image

from foveate.data.images import decode, place
from foveate.data.regions import as_seen, read_regions
from foveate.errors import RequestError


@pytest.fixture
def boxes(tmp_path):
    def write(content):
        path = tmp_path / "boxes.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_all_four_sides_of_a_box_belong_to_the_object(boxes):
    regions = read_regions(boxes({"val/a.png": [2, 1, 4, 3]}), None)
    inside = regions.inside("val/a.png", 8, 6)
    assert inside.shape == (6, 8)
    assert inside.sum() == 9
    assert inside[1:4, 2:5].all()
    assert "val/a.png" in regions
    assert "val/b.png" not in regions


@pytest.mark.parametrize(
    "box", [[0, 0, 8, 3], [0, 0, 3, 6], [-1, 0, 3, 3], [5, 0, 4, 3]], ids=["right", "below", "left", "turned"]
)
def test_a_box_outside_of_its_image_is_named(boxes, box):
    with pytest.raises(RequestError, match=r"its box .* is not within its 8×6 pixels"):
        read_regions(boxes({"a.png": box}), None).inside("a.png", 8, 6)


def test_entries_that_are_no_boxes_are_left_out_by_name(boxes):
    regions = read_regions(boxes({"a.png": [0, 0, 1, 1], "b.png": [0, 0, 1], "c.png": "all"}), None)
    assert set(regions.boxes) == {"a.png"}
    assert [one.split(":")[0] for one in regions.exclusions] == ["b.png", "c.png"]


@pytest.mark.parametrize("content", ["no json", "[1, 2]", "{}"])
def test_a_file_without_boxes_is_refused(boxes, content):
    with pytest.raises(RequestError, match="--boxes .*boxes.json"):
        read_regions(boxes(content), None)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(RequestError, match="--boxes .* cannot be read"):
        read_regions(tmp_path / "none.json", None)
    with pytest.raises(RequestError, match="--masks .* is not a folder"):
        read_regions(None, tmp_path / "none")
    with pytest.raises(RequestError, match="--masks .* has no images"):
        read_regions(None, tmp_path)


@pytest.mark.parametrize("high", [1, 255])
def test_a_mask_belongs_to_the_image_of_its_name(save, tmp_path, high):
    pixels = np.zeros((6, 8), np.uint8)
    pixels[2:4, 3:5] = high
    save("masks/val/a.png", pixels=pixels)
    regions = read_regions(None, tmp_path / "masks")
    assert "val/a.jpg" in regions
    assert np.array_equal(regions.inside("val/a.jpg", 8, 6), pixels > 0)


def test_a_mask_that_does_not_fit_is_named(save, tmp_path):
    save("masks/a.png", pixels=np.ones((6, 8), np.uint8))
    save("masks/b.png", pixels=np.zeros((6, 8), np.uint8))
    (tmp_path / "masks" / "c.png").write_bytes(b"no image")
    regions = read_regions(None, tmp_path / "masks")
    with pytest.raises(RequestError, match="its mask a.png has 8×6 pixels and the image has 16×12"):
        regions.inside("a.jpg", 16, 12)
    with pytest.raises(RequestError, match="its mask b.png marks nothing"):
        regions.inside("b.jpg", 8, 6)
    with pytest.raises(RequestError, match="its mask c.png cannot be read"):
        regions.inside("c.jpg", 8, 6)


def test_regions_of_unknown_images(boxes, save, tmp_path):
    save("masks/m.png", pixels=np.ones((6, 8), np.uint8))
    regions = read_regions(boxes({"a.png": [0, 0, 1, 1], "b.png": [0, 0, 1, 1]}), tmp_path / "masks")
    assert regions.strangers(["a.png", "m.jpg"]) == ["b.png"]
    assert [name.rpartition("/")[2] for name in regions.strangers(["a.png", "b.png"])] == ["m.png"]
    assert regions.identity("a.png") == regions.identity("b.png") != regions.identity("m.jpg")


def as_it_is(inside):
    return inside


def test_a_box_counts_before_a_mask_and_a_mask_where_the_box_does_not_fit(boxes, save, tmp_path):
    pixels = np.zeros((6, 8), np.uint8)
    pixels[0, 0] = 1
    for name in ("a", "b", "c"):
        save(f"masks/{name}.png", pixels=pixels)
    given = read_regions(
        boxes({"a.png": [1, 1, 2, 2], "b.png": [0, 0, 9, 9], "d.png": [0, 0, 9, 9]}), tmp_path / "masks"
    )
    sizes = {f"{name}.png": (8, 6) for name in "abcde"}
    regions = given.fitting(sizes, as_it_is)
    assert set(regions.boxes) == {"a.png"}
    assert set(regions.masks) == {"b", "c"}
    assert [regions.inside(name, 8, 6).sum() for name in ("a.png", "b.png", "c.png")] == [4, 1, 1]
    assert regions.exclusions == (
        "a.png: its mask a.png, because its box is used",
        "b.png: its box [0, 0, 9, 9] is not within its 8×6 pixels; its mask is used instead",
        "d.png: its box [0, 0, 9, 9] is not within its 8×6 pixels",
    )


def test_masks_of_one_image_and_images_of_one_mask_are_named_and_not_used(boxes, save, tmp_path):
    for name in ("a.png", "a.bmp", "b.png", "deep/b.png"):
        save(f"masks/{name}", pixels=np.ones((6, 8), np.uint8))
    given = read_regions(boxes({"b.jpg": [1, 1, 2, 2]}), tmp_path / "masks")
    assert given.exclusions == ("a.bmp and a.png: masks of the same image",)
    regions = given.fitting(dict.fromkeys(("a.png", "b.jpg", "b.png", "deep/b.jpg"), (8, 6)), as_it_is)
    assert set(regions.boxes) == {"b.jpg"}
    assert set(regions.masks) == {"deep/b"}
    assert regions.exclusions[1:] == (
        "b.jpg: the mask b.png may belong to another image as well",
        "b.png: the mask b.png may belong to another image as well",
    )


def masked(save, tmp_path, *masks, object_=None, suffix="png", **options):
    """The regions of masks 0, 1, …, fitted to images of their sizes."""
    for number, mask in enumerate(masks):
        save(f"masks/{number}.{suffix}", pixels=mask, **options)
    sizes = {f"{number}.jpg": np.shape(mask)[::-1] for number, mask in enumerate(masks)}
    return read_regions(None, tmp_path / "masks", object_).fitting(sizes, as_it_is)


def trimap(*values):
    """A mask with the three values from outside to inside: ground, border, object."""
    mask = np.full((12, 12), values[0], np.uint8)
    mask[3:9, 3:9] = values[1]
    mask[4:8, 4:8] = values[2]
    return mask


@pytest.mark.parametrize("values", [(2, 3, 1), (0, 255, 1), (0, 1, 255), (1, 1, 2)], ids=str)
def test_masks_that_do_not_tell_the_object_are_refused_with_their_values(save, tmp_path, values):
    mask = trimap(*values)
    shares = {v: f"{v} \\({100 * (mask == v).mean():.1f} %\\)" for v in sorted(set(values))}
    with pytest.raises(
        RequestError, match=f"values {', '.join(shares.values())} of the pixels.* --mask-object 1"
    ):
        masked(save, tmp_path, mask)
    regions = masked(save, tmp_path, mask, object_=str(values[2]))
    assert np.array_equal(regions.inside("0.jpg", 12, 12), mask == values[2])
    assert regions.describe().startswith(f"In the masks {values[2]} is the object, 11 % of their pixels")


def test_values_count_over_all_masks_of_the_images(save, tmp_path):
    """Each by itself would be two-valued, one of them with the ignored border as its object."""
    with pytest.raises(RequestError, match=r"values 0 \(.*, 1 \(.*, 255 \("):
        masked(save, tmp_path, trimap(0, 0, 1), trimap(0, 255, 0))
    regions = masked(save, tmp_path, trimap(0, 0, 1), trimap(0, 255, 0), object_="1-255")
    assert [regions.inside(f"{n}.jpg", 12, 12).sum() for n in (0, 1)] == [16, 20]


def test_a_black_object_on_white_is_refused_and_named_by_its_value(save, tmp_path):
    black = trimap(255, 255, 0)
    with pytest.raises(RequestError, match=r"in 2 of 2 masks the value 255 covers .*--mask-object 0 or"):
        masked(save, tmp_path, black, black)
    assert masked(save, tmp_path, black, object_="0").inside("0.jpg", 12, 12).sum() == 16
    assert masked(save, tmp_path, black, object_="255").inside("0.jpg", 12, 12).sum() == 128
    filling = trimap(0, 255, 255)
    assert masked(save, tmp_path, filling, filling, black).inside("0.jpg", 12, 12).sum() == 36


def test_palettes_are_read_by_their_numbers_unless_they_are_greys(save, tmp_path):
    numbers = Image.fromarray(trimap(0, 1, 1), "P")
    numbers.putpalette([255, 0, 0, 0, 0, 255])
    assert masked(save, tmp_path, numbers).inside("0.jpg", 12, 12).sum() == 36
    numbers.putpalette([255, 255, 255, 0, 0, 0])  # 0 is white: a black object on white after all
    with pytest.raises(RequestError, match="the value 255 covers most of the border"):
        masked(save, tmp_path, numbers)


def test_jpeg_masks_are_black_and_white_with_something_in_between(save, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[20:41, 10:30] = 255
    regions = masked(save, tmp_path, mask, suffix="jpg", quality=60)
    assert (regions.inside("0.jpg", 64, 64) != (mask > 0)).mean() < 0.01
    grey = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    with pytest.raises(RequestError, match="it is unclear which is the object"):
        masked(save, tmp_path, grey, suffix="jpg")


def test_values_of_wide_masks_are_not_scaled(save, tmp_path):
    mask = np.array([0, 300, 1000], np.uint16)[trimap(0, 1, 2)]
    regions = masked(save, tmp_path, mask, object_="300-1000")
    assert regions.inside("0.jpg", 12, 12).sum() == 36


@pytest.mark.parametrize("text", ["", "white", "3-1", "1;2", "-1", "1-2-3"])
def test_what_is_no_value_of_a_mask_is_refused(save, tmp_path, text):
    with pytest.raises(RequestError, match="--mask-object .*: expected the values"):
        masked(save, tmp_path, trimap(0, 0, 1), object_=text)


def test_values_without_masks_are_refused(boxes):
    with pytest.raises(RequestError, match="--mask-object 1 is for masks"):
        read_regions(boxes({"a.png": [0, 0, 1, 1]}), None, "1")


def test_an_object_that_is_small_is_still_seen():
    inside = np.zeros((640, 640), dtype=bool)
    inside[300:306, 400:406] = True  # a tenth of a pixel of 20
    seen = as_seen(inside, 32, 32)
    assert seen.sum() == 1
    assert seen[15, 20]
    inside[...] = False
    inside[0, 0] = True
    with pytest.raises(RequestError, match="its object is too small to be seen at 32×32 pixels"):
        as_seen(inside, 32, 32)
    inside[:30, :30] = True
    assert as_seen(inside, 32, 32).any()
    with pytest.raises(RequestError, match="its object lies outside of what the network sees"):
        as_seen(inside, 32, 28)


def test_an_object_goes_through_the_resize_and_the_crop_of_its_image():
    """The white square of an image lies where its region does."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    inside = np.zeros((40, 60), dtype=bool)
    inside[8:28, 22:42] = True
    pixels[inside] = 255
    canvas, size = 20, 16
    seen = place(pixels, 3, canvas)[0][2:18, 2:18] >= 128
    region = as_seen(inside, canvas, size)
    assert region.shape == (16, 16)
    assert np.array_equal(region, seen)
    assert region.sum() == pytest.approx(100, abs=20)
    assert as_seen(inside, 40, 40)[8:28, 12:32].all()


def test_the_boxes_of_a_real_set(real):
    root = real / "tiny_imagenet20"
    regions = read_regions(root / "boxes.json", None)
    names = sorted(regions.boxes)[::100]
    for name in names:
        pixels, _ = decode(root / name)
        assert regions.inside(name, pixels.shape[1], pixels.shape[0]).any()
    assert not regions.exclusions
