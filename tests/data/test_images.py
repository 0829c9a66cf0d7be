import numpy as np
import pytest
from PIL import Image

from foveate.data.images import UnreadableImageError, broken_images, decode, place, probe


def read(path):
    """Decode the file and its bytes alike."""
    pixels, header = decode(path)
    again, _ = decode(path.read_bytes())
    assert np.array_equal(pixels, again)
    assert pixels.dtype == np.uint8
    assert header == probe(path)
    return pixels


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


def test_float_pixels_are_refused(save):
    with pytest.raises(UnreadableImageError, match="floats, which have no fixed range: save it with 8 or 16"):
        decode(save("f.tif", pixels=np.ones((2, 2), np.float32)))


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
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    with pytest.raises(UnreadableImageError, match="decompression bomb"):
        decode(path)


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
    assert message.endswith("and 2 more\nRepair or delete what is broken, or leave it out with --skip-broken")
