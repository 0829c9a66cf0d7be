"""The range of greys that a network was trained with holds wherever it is shown images afterwards."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from foveate.data import load_data
from foveate.data.pictures import open_pictures
from foveate.errors import RequestError
from foveate.inspection.find_trained import find_trained
from foveate.inspection.trained import open_images
from foveate.look.pictures import read_picture
from foveate.look.viewer import Viewer
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.spec.making import make_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A run on images of 12 bits in files of 16."""
    folder = tmp_path_factory.mktemp("wide")
    generator = np.random.default_rng(0)
    for name, brightest in (("dark", 800), ("bright", 4096)):
        (folder / "set" / name).mkdir(parents=True)
        for i in range(8):
            pixels = generator.integers(0, brightest, (8, 8), dtype=np.uint16)
            Image.fromarray(pixels).save(folder / "set" / name / f"{i}.png")
    settings = {"data": str(folder / "set"), "backbone": "cifar_resnet8", "attention": "none", "seeds": 1}
    compare(make_study(settings, {"epochs": 1, "batch_size": 4}), folder / "study", Machine("cpu", threads=1))
    return folder / "study"


def test_a_run_records_its_range_and_single_images_are_read_with_it(study, tmp_path):
    (trained,) = find_trained([str(study)])
    assert trained.greys == (0, 4095)
    (result,) = study.glob("runs/*/result.json")
    assert json.loads(result.read_text())["data"]["greys"] == [0, 4095]
    Image.fromarray(np.full((8, 8), 819, np.uint16)).save(tmp_path / "grey.png")  # a fifth of 4095
    viewer = Viewer([trained], torch.device("cpu"))
    assert read_picture(tmp_path / "grey.png", trained.input_size, greys=viewer.greys).pixels.unique() == 51
    pictures = open_pictures(tmp_path, ["grey.png"], channels=1, image_size=8, greys=trained.greys)
    assert pictures.store.__getitems__([0])[0].unique() == 51
    Image.fromarray(np.full((8, 8), 5000, np.uint16)).save(tmp_path / "more.png")
    with pytest.raises(RequestError, match="beyond the range of its set, 0 to 4,095"):
        read_picture(tmp_path / "more.png", trained.input_size, greys=viewer.greys)


def test_another_set_is_read_with_the_range_of_the_run(study, tmp_path):
    for name in ("bright", "dark"):
        (tmp_path / "other" / name).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(np.full((8, 8), 819, np.uint16)).save(tmp_path / "other" / name / f"{i}.png")
    trained = find_trained([str(study)])
    assert open_images(trained, str(tmp_path / "other")).test.__getitems__([0])[0].unique() == 51
    assert load_data(str(tmp_path / "other")).greys == (0, 1023)


def test_images_of_no_known_range_share_one(tmp_path):
    for name, value in (("a", 100), ("b", 4000)):
        Image.fromarray(np.full((8, 8), value, np.uint16)).save(tmp_path / f"{name}.png")
    pictures = open_pictures(tmp_path, ["a.png", "b.png"], channels=1, image_size=8)
    shown, _ = pictures.store.__getitems__([0, 1])
    assert shown[:, 0, 0, 0].tolist() == [6, 249]
