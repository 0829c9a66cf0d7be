"""Images without labels: what can be opened is, the rest is named."""

import numpy as np
import pytest
from PIL import Image

from foveate.data.layout import Layout
from foveate.data.pictures import UNLABELLED, find_pictures, open_pictures
from foveate.errors import RequestError


def test_images_are_found_at_any_depth_and_files_that_start_with_a_dot_are_not(save, tmp_path):
    for name in ("b.png", "deep/er/a.jpg", ".hidden.png", ".trash/c.png"):
        save(f"pictures/{name}")
    root, names = find_pictures(tmp_path / "pictures")
    assert (root, names) == (tmp_path / "pictures", ["b.png", "deep/er/a.jpg"])
    assert find_pictures(root / "b.png") == (root, ["b.png"])


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"--images .* does not exist"):
        find_pictures(tmp_path / "none")
    (tmp_path / "note.txt").write_text("none here")
    with pytest.raises(RequestError, match=r"has no images: an image ends in .bmp"):
        find_pictures(tmp_path)


def test_they_are_brought_to_what_the_network_sees(save, tmp_path):
    save("pictures/wide.png", size=(64, 32))
    save("pictures/grey.png", size=(20, 30), mode="L")
    root, names = find_pictures(tmp_path / "pictures")
    pictures = open_pictures(root, names, channels=3, image_size=28)
    assert pictures.names == ["grey.png", "wide.png"]
    assert pictures.sizes == [(20, 30), (64, 32)]
    images, labels = pictures.store.__getitems__([0, 1])
    assert images.shape == (2, 3, 32, 32)  # a canvas, of which the middle 28 are seen
    assert labels.tolist() == [UNLABELLED, UNLABELLED]
    assert (
        open_pictures(root, ["wide.png"], channels=1, image_size=32).store.__getitems__([0])[0].shape[1] == 1
    )


def test_images_of_a_data_set_are_as_that_has_them(save, tmp_path):
    save("set/cat/a.png", size=(16, 16), seed=1)
    layout = Layout(3, 8, 16, 0, False)
    pictures = open_pictures(
        tmp_path / "set", ["cat/a.png"], channels=3, image_size=8, layout=layout, classes=("dog", "cat")
    )
    images, labels = pictures.store.__getitems__([0])
    stored = np.asarray(Image.open(tmp_path / "set/cat/a.png")).transpose(2, 0, 1)
    assert np.array_equal(images[0].numpy(), stored)
    assert labels.tolist() == [1]


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(save, tmp_path, monkeypatch):
    good = save("pictures/good.png", size=(16, 16))
    save("pictures/dot.png", size=(1, 1))
    save("pictures/line.png", size=(9, 1))
    (tmp_path / "pictures/broken.png").write_bytes(good.read_bytes()[:60])
    (tmp_path / "pictures/empty.jpg").touch()
    (tmp_path / "pictures/words.png").write_text("these are words")
    (tmp_path / "pictures/note.txt").write_text("these too")
    save("pictures/huge.png", pixels=Image.new("1", (400, 400)))
    monkeypatch.setattr("foveate.data.images.MOST_PIXELS", 50_000)
    root, names = find_pictures(tmp_path / "pictures")
    pictures = open_pictures(root, names, channels=3, image_size=16)
    assert pictures.names == ["good.png"]
    said = dict(one.split(": ", 1) for one in pictures.exclusions)
    assert set(said) == {
        "broken.png",
        "dot.png",
        "empty.jpg",
        "huge.png",
        "line.png",
        "note.txt",
        "words.png",
    }
    assert said["dot.png"] == "it has 1×1 pixels: expected 2×2 or more"
    assert "400×400 pixels" in said["huge.png"]
    assert said["empty.jpg"] == "it is empty"
    with pytest.raises(RequestError, match=r"none of the 2 images in .* can be used:\n  dot.png: it has 1×1"):
        open_pictures(root, ["dot.png", "words.png"], channels=3, image_size=16)
