import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def root(tmp_path):
    """The folder of a set, empty."""
    root = tmp_path / "set"
    root.mkdir()
    return root


@pytest.fixture
def put(root):
    """Write images of 6×4 pixels below the set, and masks of given pixels: a list of rows, or one value."""

    def put(images="", masks="", values=((0, 1),), palette=False):
        written = []
        for name in images.split():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (6, 4), (10, 20, 30)).save(path)
            written.append(path)
        for name in masks.split():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.resize(np.array(values, dtype=np.uint8), (4, 6))
            mask = Image.fromarray(pixels)
            if palette:
                mask.putpalette([*range(255, 0, -1), *range(255)])
            mask.save(path)
            written.append(path)
        return written

    return put
