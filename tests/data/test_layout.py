import pytest

from foveate.data.images import Header
from foveate.data.layout import Layout, describe_kinds, find_layout


def headers(*sizes, mode="RGB", alpha=False):
    return [Header(*size, mode, alpha) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "image_size", "expected"),
    [
        ([(32, 32)] * 3, None, (32, 32, 4)),
        ([(8, 8)] * 3, None, (8, 8, 1)),
        ([(240, 180), (180, 240)], None, (180, 180, 22)),
        ([(640, 480)] * 3, None, (224, 256, 0)),
        ([(300, 260), (500, 256), (256, 256)], None, (224, 256, 0)),
        ([(100, 120), (150, 110), (99, 200)], None, (96, 110, 0)),
        ([(20, 20), (25, 20), (18, 30)], None, (32, 37, 0)),
        ([(32, 32)] * 3, 24, (24, 27, 0)),
        ([(32, 32)] * 3, 224, (224, 256, 0)),
        ([(64, 64)] * 3, 64, (64, 64, 8)),
    ],
)
def test_sizes(sizes, image_size, expected):
    layout = find_layout(headers(*sizes), image_size, 224, upscale=False)
    assert (layout.image_size, layout.canvas, layout.padding) == expected


def test_the_default_size_is_for_images_of_many_sizes():
    assert find_layout(headers((64, 64), (64, 80)), None, 48, upscale=False).image_size == 48
    assert find_layout(headers((64, 64), (64, 64)), None, 48, upscale=False).image_size == 64
    assert find_layout(headers((400, 400), (400, 400)), None, 384, upscale=False).image_size == 384


def test_channels():
    grey = headers((8, 8), mode="L") + headers((8, 8), mode="I;16")
    assert find_layout(grey, None, 224, upscale=False).channels == 1
    assert find_layout(grey + headers((8, 8), mode="P"), None, 224, upscale=False).channels == 3


def test_kinds_in_words():
    seen = headers((8, 8), (8, 8)) + headers((8, 8), mode="L") + headers((8, 8), (8, 8), mode="I;16")
    seen += headers((8, 8), mode="P", alpha=True) + headers((8, 8), mode="CMYK")
    assert describe_kinds(seen, Layout(3, 8, 8, 1, False), sample=False) == [
        "3 of 7 images are greyscale: read as RGB.",
        "2 of 7 images are grey with more than 8 bits: scaled to 8 bits.",
        "1 of 7 images is stored with a palette: read as RGB.",
        "1 of 7 images is CMYK: converted to RGB.",
        "1 of 7 images is transparent in places: laid over white.",
    ]
    grey = headers((8, 8), mode="L") + headers((8, 8), mode="LA", alpha=True)
    assert describe_kinds(grey, Layout(1, 8, 8, 1, False), sample=True) == [
        "1 of 2 images looked at is transparent in places: laid over white."
    ]
