import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from foveate.data.dense.mask_files import mask_values, other_size, shown_size
from foveate.data.images import UnreadableImageError

PIXELS = np.array([[0, 1, 2], [3, 255, 7]], dtype=np.uint8)


def with_palette(pixels):
    image = Image.fromarray(pixels)
    image.putpalette([200, 0, 0, 0, 0, 200, 9, 9, 9, *range(100)])
    return image


@pytest.mark.parametrize("name", ["m.png", "m.bmp", "m.tif", "m.pgm"])
def test_one_byte_a_pixel(tmp_path, name):
    Image.fromarray(PIXELS).save(tmp_path / name)
    found = mask_values(tmp_path / name)
    assert found.dtype == np.uint8
    assert np.array_equal(found, PIXELS)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_indices_of_a_palette_are_the_values(tmp_path, bits):
    pixels = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)
    with_palette(pixels).save(tmp_path / "m.png", bits=bits, transparency=0)
    assert np.array_equal(mask_values(tmp_path / "m.png"), pixels)


def test_one_bit_a_pixel(tmp_path):
    Image.fromarray(PIXELS > 1).save(tmp_path / "m.png")
    assert mask_values(tmp_path / "m.png").tolist() == [[0, 0, 1], [1, 1, 1]]


def refusal(path):
    with pytest.raises(UnreadableImageError) as caught:
        mask_values(path)
    return str(caught.value)


def test_colours_are_counted(tmp_path):
    pixels = np.zeros((2, 3, 3), dtype=np.uint8)
    pixels[0, 0], pixels[1, 2] = (128, 0, 0), (0, 0, 128)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    assert refusal(tmp_path / "m.png") == (
        "it is an image of colours (mode RGB) with 3 of them, and a mask has the number of a class in each "
        "pixel: write 0 for the first colour, 1 for the second and so on, and save it as a PNG with one byte "
        "a pixel"
    )


def test_greys_in_three_channels(tmp_path):
    Image.fromarray(np.repeat(PIXELS[..., None], 3, axis=2)).save(tmp_path / "m.png")
    assert "whose channels are all the same" in refusal(tmp_path / "m.png")


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_alpha(tmp_path, mode):
    Image.fromarray(PIXELS).convert(mode).save(tmp_path / "m.tif" if mode == "PA" else tmp_path / "m.png")
    assert f"(mode {mode})" in refusal(tmp_path / "m.tif" if mode == "PA" else tmp_path / "m.png")


def test_sixteen_bits(tmp_path):
    Image.fromarray(PIXELS.astype(np.uint16) * 2).save(tmp_path / "m.png")
    assert refusal(tmp_path / "m.png") == (
        "it has 16 bits a pixel or more (mode I;16), with values from 0 to 510, and a mask has 8: give its "
        "classes numbers below 255, and save it as a PNG with one byte a pixel"
    )
    Image.fromarray(PIXELS.astype(np.int32)).save(tmp_path / "m.tif")
    assert refusal(tmp_path / "m.tif").endswith(
        "(mode I), with values from 0 to 255, and a mask has 8: save it as a PNG with one byte a pixel"
    )


def test_lossy_formats(tmp_path):
    for name, kind in (("m.jpg", "JPEG"), ("m.jp2", "JPEG2000"), ("m.webp", "WEBP")):
        Image.fromarray(PIXELS).save(tmp_path / name)
        assert refusal(tmp_path / name).startswith(f"it is a {kind} file, whose compression changes")


def test_gif_renumbers_values(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "m.gif")
    with Image.open(tmp_path / "m.gif") as image:
        assert np.asarray(image).max() < 255
    assert "it is a GIF, and programs renumber" in refusal(tmp_path / "m.gif")


def test_greys_that_a_decoder_scales(tmp_path):
    (tmp_path / "m.pgm").write_bytes(b"P5\n3 1\n3\n\x00\x01\x02")
    assert Image.open(tmp_path / "m.pgm").tobytes() == b"\x00\x55\xaa"
    assert "do not have 8 bits a pixel" in refusal(tmp_path / "m.pgm")


def test_four_bits_of_grey(tmp_path):

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header, rows = struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0), zlib.compress(b"\0\x12")
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "m.png").write_bytes(png)
    assert Image.open(tmp_path / "m.png").tobytes() == b"\x11\x22"  # 1 and 2 are stored
    assert "do not have 8 bits a pixel" in refusal(tmp_path / "m.png")


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(UnreadableImageError):
        mask_values(tmp_path / "none.png")
    (tmp_path / "m.png").write_bytes(b"no image")
    assert refusal(tmp_path / "m.png") == "it is not an image of a known format"


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_size_is_that_of_the_turned_image(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"i.{suffix}"
    Image.new("RGB", (6, 4)).save(path, exif=exif)
    assert shown_size(path) == (4, 6)
    Image.new("RGB", (6, 4)).save(path)
    assert shown_size(path) == (6, 4)


def test_a_mask_is_turned_as_its_image_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    Image.fromarray(PIXELS).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(mask_values(tmp_path / "m.png"), np.rot90(PIXELS, -1))


def test_both_sizes_are_named(tmp_path):
    said = str(other_size(tmp_path / "i.jpg", (6, 4), tmp_path / "m.png", (3, 2)))
    assert "m.png has 3×2 pixels, and its image" in said
    assert "i.jpg has 6×4" in said
