"""One thread a process: two test workers that each take all cores mostly wait for each other.

And what several folders of tests have in common: a tiny set of images, a study of it, the command line.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("OMP_NUM_THREADS", "1")


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


@pytest.fixture(scope="session")
def trained_bands(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study, plain and SE on two seeds; for reading: whoever writes makes a copy."""
    # Not above: whoever asks for no study has nothing to do with it.
    from foveate.studies.compare import compare
    from foveate.studies.engine.run import Machine
    from foveate.studies.spec.study import make_study

    settings = {"data": str(bands), "backbone": "cifar_resnet8", "attention": "none,se", "seeds": 2}
    out = tmp_path_factory.mktemp("studies") / "bands"
    compare(make_study(settings, {"epochs": 2, "batch_size": 16, "augmentation": ()}), out, Machine("cpu"))
    return out


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """The command line without a process of its own, which saves the imports; gives the exit status."""
    import torch

    from foveate.cli.main import main

    threads = torch.get_num_threads()

    def run(*arguments: str, folder: Path) -> int:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["foveate", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    yield run
    torch.set_num_threads(threads)
