"""Colours of maps: as light as the value is high, in equal steps, and over an image."""

import numpy as np
import pytest

from foveate.evaluation.heat import bar_ends, heat, is_flat, overlay, say_flat, scale


def lightness(rgb: np.ndarray) -> np.ndarray:
    """L* of CIELAB, of sRGB (IEC 61966-2-1) under D65."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, 24389 / 27 * y)


def test_higher_values_are_lighter_in_even_steps():
    light = lightness(scale() / 255)
    assert scale().shape == (256, 3)
    assert light[0] < 10
    assert light[-1] > 90
    smooth = np.diff(light[::16])
    assert smooth.min() > 0.4 * smooth.mean()  # the darkest sixteenth of matplotlib's scale
    assert smooth.max() < 1.5 * smooth.mean()


def test_a_map_becomes_colours_and_what_is_beyond_is_cut():
    colours = heat(np.array([[0.0, 1.0, -3.0, 3.0], [np.nan, 0.5, np.inf, -np.inf]]))
    low, high = scale()[0], scale()[255]
    assert (colours.dtype, colours.shape) == (np.uint8, (2, 4, 3))
    assert [tuple(c) for c in colours[0]] == [tuple(c) for c in (low, high, low, high)]
    assert [tuple(c) for c in colours[1, [0, 2, 3]]] == [tuple(c) for c in (low, high, low)]


@pytest.mark.parametrize("channels", [1, 3])
def test_opacity_runs_from_the_image_to_the_map(channels):
    image = np.random.default_rng(0).integers(0, 256, (6, 8, channels), dtype=np.uint8)
    values = np.linspace(0, 1, 48).reshape(6, 8)
    assert np.array_equal(overlay(image, values, 0), np.broadcast_to(image, (6, 8, 3)))
    assert np.array_equal(overlay(image, values, 1), heat(values))
    half = (image.astype(float) + heat(values)) / 2
    assert np.abs(overlay(image, values) - half).max() <= 0.5


def test_a_small_map_is_brought_to_the_images_size():
    laid = overlay(np.zeros((8, 16, 3), np.uint8), np.array([[0.0, 1.0]]), 1)
    assert laid.shape == (8, 16, 3)
    assert (np.diff(lightness(laid[4] / 255)) >= -0.5).all()
    assert np.array_equal(laid[:, 0], np.broadcast_to(scale()[0], (8, 3)))


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        ([0.4985, 0.5015], True),
        ([0.49, 0.51], False),
        ([-0.5, -0.4999], True),
        ([0.0, 1e-7], True),
        ([-1e-3, 1e-3], False),
        ([np.nan, 0.0], True),
        ([], True),
    ],
)
def test_a_map_is_flat_whose_values_differ_by_no_more_than_noise(values, flat):
    assert is_flat(np.array(values)) is flat


def test_a_flat_map_is_said_in_words():
    assert say_flat(np.array([[0.4985, 0.5015]])) == "0.5 everywhere"
    assert say_flat(np.full(3, -0.25)) == "−0.25 everywhere"
    assert say_flat(np.full(3, -1e-9)) == "0 everywhere"


def test_bars_stand_on_a_scale_from_0_to_1_or_beyond():
    assert bar_ends(np.array([0.4, 0.6])) == (0, 1)
    assert bar_ends(np.array([-2.0, 3.0])) == (-2, 3)
