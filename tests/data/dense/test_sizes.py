"""Sizes of images, upright and as they are stored, and boxes that are turned with their images."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from foveate.data.dense.sizes import check_stated, measure, turn_upright
from foveate.data.images import decode, probe_orientation
from foveate.errors import RequestError


def oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_of_the_decoded_image(save, suffix, orientation):
    path = save(f"a.{suffix}", size=(40, 20), exif=oriented(orientation))
    sizes = measure([path])
    height, width = decode(path)[0].shape[:2]
    assert sizes.upright.tolist() == [[width, height]]
    assert (width, height) == ((40, 20) if orientation < 5 else (20, 40))


def test_an_unknown_orientation_is_upright(save):
    assert probe_orientation(save("a.jpg", size=(40, 20), exif=oriented(77)))[1] == 1


@pytest.mark.parametrize("orientation", range(5, 9))
def test_boxes_are_turned_with_their_images(tmp_path, orientation):
    pixels = np.zeros((20, 40), dtype=np.uint8)
    pixels[3:11, 5:30] = 255  # the box 5, 3, 30, 11
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, exif=oriented(orientation))
    with Image.open(path) as image:
        rows, columns = np.nonzero(np.asarray(ImageOps.exif_transpose(image)))
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    sizes = measure([path])
    stated = np.array([[40, 20]])
    assert check_stated("train.json", [path], stated, sizes).tolist() == [True]
    assert check_stated("train.json", [path], stated[:, ::-1], sizes).tolist() == [False]
    turned = turn_upright(np.array([[5.0, 3, 30, 11]]), sizes.upright, sizes.orientations)
    assert turned.tolist() == [expected]


def test_a_size_that_is_not_stated_is_not_compared(save):
    paths = [save("a.png"), save("b.png")]
    assert not check_stated("train.json", paths, np.array([[0, 0], [0, 9]]), measure(paths)).any()


def test_images_of_another_size_are_named(save):
    paths = [save(name) for name in ("a.png", "b.png", "c.png")]
    stated = np.array([[16, 16], [32, 16], [16, 8]])
    said = "train.json says that b.png has 32×16 pixels, and the file has 16×16: 2 of 3 .*b.png, c.png"
    with pytest.raises(RequestError, match=said):
        check_stated("train.json", paths, stated, measure(paths))


def test_broken_images_are_named(save, tmp_path):
    (tmp_path / "b.png").write_bytes(b"no image")
    said = r"1 of 2 images cannot be read: .*b.png \(it is not an image of a known format\)"
    with pytest.raises(RequestError, match=said):
        measure([save("a.png"), tmp_path / "b.png"])
