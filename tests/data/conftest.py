from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def real() -> Path:
    """The folder of real image sets, which lies beside a working copy and not in it."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not there")
    return REAL


@pytest.fixture
def save(tmp_path):
    """Save an image below tmp_path: of random colour pixels in 0..255, or of given ones."""

    def save(name, size=(16, 16), mode="RGB", seed=0, pixels=None, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if pixels is None:
            shape = (size[1], size[0]) + ((3,) if mode == "RGB" else ())
            pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(path, **options)
        return path

    return save


@pytest.fixture
def folder(save, tmp_path):
    """Make an ImageFolder set of random images, `counts` of {class folder: number}; gives its root."""

    def folder(counts, **options):
        for k, (name, count) in enumerate(counts.items()):
            for i in range(count):
                save(f"set/{name}/{i}.png", seed=1000 * k + i, **options)
        return tmp_path / "set"

    return folder


@pytest.fixture
def cache(monkeypatch, tmp_path_factory):
    """Keep the cache of Hugging Face datasets out of the home folder, and the network out of the tests."""
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
