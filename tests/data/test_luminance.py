"""The luminance of images in floats and in whole numbers."""

import numpy as np
import torch
from PIL import Image

from foveate.data.luminance import luminance


def test_whole_numbers_are_those_of_pillow():
    colours = torch.randint(
        0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    pillow = np.asarray(Image.fromarray(colours[0].permute(1, 2, 0).numpy()).convert("L"))
    assert np.array_equal(luminance(colours)[0, 0].numpy(), pillow)


def test_floats_are_weighted_and_grey_images_stay():
    pixel = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(luminance(pixel), torch.full((1, 1, 1, 1), 0.299 + 5.87 + 11.4))
    grey = torch.rand(2, 1, 3, 3)
    assert luminance(grey) is grey
