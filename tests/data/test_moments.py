import numpy as np
import pytest

from foveate.data.moments import channel_moments


def test_moments_are_those_of_all_pixels():
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (count, 3, 5, 4 + count), dtype=np.uint8) for count in (1, 2, 7)]
    mean, std = channel_moments(lambda k: arrays[k], len(arrays))
    pixels = np.concatenate([array.swapaxes(0, 1).reshape(3, -1) for array in arrays], axis=1) / 255
    assert mean == pytest.approx(pixels.mean(1), abs=1e-12)
    assert std == pytest.approx(pixels.std(1), abs=1e-12)


def test_constant_images_have_the_deviation_of_one_grey_level():
    assert channel_moments(lambda k: np.full((2, 1, 3, 3), 51, np.uint8), 4) == ((0.2,), (1 / 255,))
