import os
import shutil
import tempfile

import pytest
import torch

from foveate.data import load_data
from foveate.data.shared import share
from foveate.errors import ImagesChangedError
from foveate.studies.engine.images import open_again
from foveate.studies.spec.study import DataChoice

pytestmark = pytest.mark.skipif(os.name == "nt", reason="its system has no shared locks")


@pytest.fixture
def opened(bands, tmp_path, monkeypatch):
    """A copy of the bands, as a parent process opened and shared them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root = shutil.copytree(bands, tmp_path / "bands")
    data = load_data(str(root))
    assert share(data) is None
    return root, data


def again(root, data):
    content = data.content_fingerprint
    return open_again("classification", DataChoice(source=str(root)), 32, data.fingerprint, content)


def test_a_worker_maps_the_images_of_its_parent(opened):
    root, data = opened
    found = again(root, data)
    assert found.train.is_mapped
    assert found.parts == ()  # nothing was read from the files
    assert torch.equal(found.train.images, data.train.images)
    assert found.fingerprint == data.fingerprint


def test_a_worker_finds_that_an_image_was_replaced(opened):
    root, data = opened
    first, second = sorted((root / "train/high").iterdir())[:2]
    time = first.stat().st_mtime_ns
    first.write_bytes(second.read_bytes())
    os.utime(first, ns=(time, time))
    with pytest.raises(ImagesChangedError, match="no longer those that the study was started with"):
        again(root, data)


def test_a_file_that_is_no_image_makes_a_worker_look_at_all_images(opened):
    """They are decoded and compared, and those of the parent are then mapped."""
    root, data = opened
    (root / "notes.txt").write_text("taken in autumn")
    found = again(root, data)
    assert len(found.parts) == 2
    assert found.train.is_mapped
    assert torch.equal(found.train.images, data.train.images)
