import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from foveate.data.greys import GreyRange
from foveate.data.images import (
    MOST_PIXELS,
    UnreadableImageError,
    broken_images,
    decode,
    place,
    probe,
    read_values,
)


def read(path):
    """Decode the file and its bytes alike."""
    pixels, header = decode(path)
    again, _ = decode(path.read_bytes())
    assert np.array_equal(pixels, again)
    assert pixels.dtype == np.uint8
    assert header._replace(greys=None) == probe(path)
    return pixels


def write_png(path, width, height, depth, colour_type, rows):
    """Write a PNG whose header says what it is told, whatever `rows` are."""

    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_colour_and_grey(save):
    colour = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert np.array_equal(read(save("c.png", pixels=colour)), colour)
    grey = np.arange(8, dtype=np.uint8).reshape(2, 4)
    assert np.array_equal(read(save("g.png", pixels=grey)), grey)
    header = probe(save("g.png", pixels=grey))
    assert (header.width, header.height, header.short_side, header.grey, header.alpha) == (
        4,
        2,
        2,
        True,
        False,
    )


def test_one_bit(save):
    path = save("b.png", pixels=Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1"))
    assert read(path).tolist() == [[0, 255], [255, 0]]


def test_16_bits_are_scaled_from_65535(save):
    values = np.array([[0, 128, 129, 257], [32768, 65278, 65407, 65535]], np.uint16)
    expected = np.rint(values / 65535 * 255)
    assert (
        read(save("16.png", pixels=values)).tolist()
        == expected.tolist()
        == [[0, 0, 1, 1], [128, 254, 255, 255]]
    )


def test_32_bits_are_scaled_from_their_range(save):
    values = np.array([[0, -5, 2**30], [2**23, 2**31 - 1, 2**31 - 1]], np.int32)
    assert read(save("32.tif", pixels=values)).tolist() == [[0, 0, 128], [1, 255, 255]]
    assert read(save("low.tif", pixels=np.array([[0, 65535]], np.int32))).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 2048, 4095], [0, 128, 255]),  # 12 bits
        ([0, 600, 1023], [0, 150, 255]),  # 10 bits
        ([0, 1, 200], [0, 1, 200]),  # 8 bits in 16 are what they are
        ([0, 2**19, 2**20 - 1], [0, 128, 255]),  # 20 bits
    ],
)
def test_wide_greys_of_fewer_bits_are_scaled_from_the_bits_that_they_use(save, values, expected):
    kind = np.uint16 if max(values) < 2**16 else np.int32
    assert read(save("g.tif", pixels=np.array([values], kind))).tolist() == [expected]


def test_signed_greys_keep_what_is_below_0(save):
    image = Image.fromarray(np.array([[-1024, 0, 1536, 4095]], np.int32))
    pixels = read(save("ct.tif", pixels=image))
    assert pixels.tolist() == [[0, 51, 128, 255]]  # (0 + 1024) / (4095 + 1024) of 255


def test_signed_16_bit_files_are_read_as_signed(tmp_path):
    """Pillow writes no such TIFF: one strip of little-endian numbers, tag 339 (SampleFormat) is 2."""
    values = np.array([[-1024, 0, 1536, 4095]], "<i2")
    tags = [
        (256, 4), (257, 1), (258, 16), (259, 1), (262, 1), (273, 134), (277, 1), (278, 1), (279, 8), (339, 2)
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries
    (tmp_path / "s16.tif").write_bytes(head.ljust(134, b"\0") + values.tobytes())
    assert probe(tmp_path / "s16.tif").mode == "I"
    assert read(tmp_path / "s16.tif").tolist() == [[0, 51, 128, 255]]


def test_a_range_that_is_given_counts_for_every_image(save):
    dark = save("dark.png", pixels=np.array([[0, 100, 200]], np.uint16))
    assert decode(dark, GreyRange(0, 4095))[0].tolist() == [[0, 6, 12]]
    with pytest.raises(UnreadableImageError, match="0 to 200, beyond the range of its set, 0 to 100"):
        decode(dark, GreyRange(0, 100))
    with pytest.raises(
        UnreadableImageError, match="more than 8 bits, and the range of values of its set is unknown"
    ):
        decode(dark, None)


def test_floats_are_read_from_0_to_1_and_refused_beyond(save):
    path = save("f.tif", pixels=np.array([[0, 0.2, 1]], np.float32))
    assert read(path).tolist() == [[0, 51, 255]]
    for wrong in ([0, 1.5], [-0.5, 1], [np.nan, 0]):
        with pytest.raises(UnreadableImageError, match=r"floats from .*: save it with 8"):
            decode(save("f.tif", pixels=np.array([wrong], np.float32)))


def test_colours_of_16_bits_are_read_by_their_upper_8_and_say_so(tmp_path):
    rows = b"\0" + struct.pack(">6H", 0x1234, 0x0100, 0xFFFF, 0x0FFF, 0, 0)
    write_png(tmp_path / "deep.png", 2, 1, 16, 2, rows)
    pixels, header = decode(tmp_path / "deep.png")
    assert pixels.tolist() == [[[0x12, 1, 255], [0x0F, 0, 0]]]
    assert header.deep
    assert header.greys == (0, 255, 0, 255)
    assert not probe(tmp_path / "deep.png").wide


def test_a_bitmap_of_16_bits_for_all_three_colours_is_not_deep(tmp_path):
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    masks, pixel = struct.pack("<III", 0xF800, 0x07E0, 0x001F), struct.pack("<HH", 0xF800, 0)
    body = header + masks + pixel
    (tmp_path / "r.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 66) + body)
    pixels, found = decode(tmp_path / "r.bmp")
    assert pixels.tolist() == [[[255, 0, 0]]]
    assert not found.deep


def test_alpha_is_laid_over_white(save):
    rgba = np.array([[[255, 0, 10, 255], [255, 0, 10, 0], [190, 100, 0, 100]]], np.uint8)
    path = save("a.png", pixels=rgba)
    assert read(path).tolist() == [[[255, 0, 10], [255, 255, 255], [230, 194, 155]]]
    assert probe(path).alpha
    grey = Image.fromarray(np.array([[[100, 255], [100, 0], [100, 51]]], np.uint8), "LA")
    assert read(save("la.png", pixels=grey)).tolist() == [[100, 255, 224]]


def test_palette(save):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    assert read(save("p.png", pixels=image)).tolist() == [
        [[10, 20, 30], [40, 50, 60]],
        [[70, 80, 90], [40, 50, 60]],
    ]
    path = save("t.png", pixels=image, transparency=1)
    assert read(path).tolist() == [
        [[10, 20, 30], [255, 255, 255]],
        [[70, 80, 90], [255, 255, 255]],
    ]
    assert probe(path).alpha


def test_cmyk(save):
    pixels = Image.fromarray(np.array([[[0, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255]]], np.uint8), "CMYK")
    assert read(save("k.tif", pixels=pixels)).tolist() == [[[255, 255, 255], [255, 0, 0], [0, 0, 0]]]


def test_exif_orientation_is_applied(save):
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    assert np.array_equal(read(save("e.png", pixels=pixels, exif=exif)), np.rot90(pixels, -1))


def test_embedded_arrays_are_decoded_already():
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(decode(pixels)[0], pixels)


def test_broken_files(save, tmp_path):
    whole = save("w.jpg", size=(64, 64)).read_bytes()
    for damaged in (whole[:-300], whole[:200]):
        with pytest.raises(UnreadableImageError, match=r"[Tt]runcated"):
            decode(damaged)
    png = bytearray(save("w.png", size=(64, 64)).read_bytes())
    png[100:140] = bytes(40)
    with pytest.raises(UnreadableImageError):
        decode(bytes(png))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UnreadableImageError, match=r"^it is not an image of a known format$"):
        decode(tmp_path / "text.png")
    (tmp_path / "empty.png").touch()
    for empty in (tmp_path / "empty.png", b""):
        with pytest.raises(UnreadableImageError, match=r"^it is empty$"):
            decode(empty)
    with pytest.raises(UnreadableImageError, match="No such file"):
        decode(tmp_path / "missing.png")


def test_decompression_bomb(save, monkeypatch):
    path = save("bomb.png", size=(100, 100))
    monkeypatch.setattr("foveate.data.images.MOST_PIXELS", 4000)
    for read_one in (decode, probe, read_values):
        with pytest.raises(UnreadableImageError, match=r"100×100 pixels, and the maximum is 4,000: make it"):
            read_one(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)  # Pillow warns of these, and refuses twice as many
    for size in ((70, 70), (100, 100)):
        with pytest.raises(UnreadableImageError, match="too many pixels, and the maximum is 4,000"):
            decode(save("bomb.png", size=size))


@pytest.mark.parametrize("shape", [(1, 20_000_000), (20_000_000, 1)])
def test_a_long_strip_is_not_enlarged_before_it_is_cut(shape, monkeypatch):
    sizes = []
    whole = Image.Image.resize

    def resize(image, size, *rest):
        sizes.append(size)
        return whole(image, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", resize)
    assert place(np.full(shape, 7, np.uint8), 3, 224).tolist() == np.full((3, 224, 224), 7).tolist()
    assert max(width * height for width, height in sizes) <= MOST_PIXELS


def test_a_format_that_no_suffix_stands_for_is_never_opened(tmp_path, save):
    """PostScript would be drawn by Ghostscript, which runs whatever program is in the file."""
    (tmp_path / "page.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n{} loop\n%%EOF\n"
    )
    other = [save("icon.ico", size=(16, 16)), save("old.tga", size=(16, 16)), save("x.eps", size=(16, 16))]
    for path in (tmp_path / "page.png", *other):
        for read_one in (decode, probe, read_values):
            with pytest.raises(UnreadableImageError, match="not an image of a known format"):
                read_one(path)
    with pytest.raises(UnreadableImageError, match="not an image of a known format"):
        decode((tmp_path / "page.png").read_bytes())


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImageError, match="not a regular file"):
        decode(tmp_path / "pipe.png")


def test_place_cuts_the_middle():
    pixels = np.arange(4 * 7 * 3, dtype=np.uint8).reshape(4, 7, 3)
    assert np.array_equal(place(pixels, 3, 4), pixels[:, 1:5].transpose(2, 0, 1))
    tall = pixels[..., 0].T
    assert np.array_equal(place(tall, 1, 4), tall[None, 1:5])
    assert np.array_equal(place(tall, 3, 4), np.stack([tall[1:5]] * 3))


def test_place_resizes_the_short_side():
    # antialiased: a checkerboard halves to its mean, where plain bilinear sampling could alias
    board = np.indices((8, 12)).sum(0).astype(np.uint8) % 2 * 200
    small = place(board, 1, 2)
    assert small.shape == (1, 2, 2)
    assert np.abs(small.astype(int) - 100).max() <= 15
    assert place(np.full((3, 9, 3), 77, np.uint8), 3, 5).tolist() == np.full((3, 5, 5), 77).tolist()
    assert place(np.zeros((2, 1001), np.uint8), 3, 32).shape == (3, 32, 32)


def test_place_makes_colour_grey():
    assert place(np.full((2, 2, 3), (255, 0, 0), np.uint8), 1, 2).tolist() == [[[76, 76], [76, 76]]]


def test_broken_images_names_ten():
    message = str(broken_images([(f"{i}.png", UnreadableImageError("it is empty")) for i in range(12)]))
    assert message.startswith("12 broken images:\n  0.png: it is empty\n")
    assert "9.png" in message
    assert "10.png" not in message
    assert message.endswith("and 2 more\nRepair or delete them, or skip them with --skip-broken")
