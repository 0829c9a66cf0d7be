from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def bands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 8×8 grey images; the bright band of rows is the class. 3 × 20 to train, 3 × 6 to test."""
    root = tmp_path_factory.mktemp("data") / "bands"
    random = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 6)):
        for band, name in enumerate(("high", "low", "middle")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 120, (8, 8), dtype=np.uint8)
                pixels[2 * band : 2 * band + 3] += 100
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root
