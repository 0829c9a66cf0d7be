import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from foveate.data.dataset import load_data
from foveate.data.store import MemoryStore, StreamedStore
from foveate.errors import RequestError

PARTS = {"train/a": 6, "train/b": 9, "test/a": 2, "test/b": 3}


def everything(store):
    return store.__getitems__(range(len(store)))


def assert_same(store, other):
    for one, two in zip(everything(store), everything(other), strict=True):
        assert torch.equal(one, two)


def test_digits():
    data = load_data("digits")
    assert (data.name, data.classes) == ("digits", tuple("0123456789"))
    assert (data.channels, data.image_size, data.canvas, data.padding) == (1, 8, 8, 1)
    assert len(data.train) + len(data.test) == 1797
    assert len(data.test) == pytest.approx(0.2 * 1797, abs=5)
    images, labels = everything(data.train)
    assert images.shape[1:] == (1, 8, 8)
    assert images.unique().tolist() == [round(level * 255 / 16) for level in range(17)]
    assert data.mean[0] == pytest.approx(images.double().mean().item() / 255)
    assert data.std[0] == pytest.approx(images.double().std(correction=0).item() / 255)
    assert torch.equal(labels, torch.from_numpy(data.train.labels))
    assert "held out as one" in data.notes[0]
    assert data.fingerprint == load_data("digits").fingerprint
    assert data.fingerprint != load_data("digits", test_fraction=0.3).fingerprint


def test_a_folder(folder):
    data = load_data(str(folder(PARTS)))
    assert isinstance(data.train, MemoryStore)
    assert (data.name, data.classes, data.channels, data.image_size) == ("set", ("a", "b"), 3, 16)
    assert data.train.labels.tolist() == [0] * 6 + [1] * 9
    assert data.validation is None
    assert data.validation_store is data.train
    assert data.notes == ()
    images, _ = everything(data.train)
    np.testing.assert_allclose(data.mean, images.double().mean((0, 2, 3)) / 255)
    np.testing.assert_allclose(data.std, images.double().std((0, 2, 3), correction=0) / 255)


def test_pixels_are_those_of_the_file(folder):
    root = folder(PARTS)
    data = load_data(str(root))
    stored = np.asarray(Image.open(root / "train/b/0.png")).transpose(2, 0, 1)
    assert np.array_equal(data.train.__getitems__([6])[0][0], stored)


@pytest.mark.parametrize("image_size", [None, 12])
def test_streamed_equals_memory(folder, save, image_size):
    root = folder(PARTS, size=(40, 34))
    save("set/train/a/grey.png", mode="L", size=(34, 60))
    kept = load_data(str(root), image_size=image_size)
    streamed = load_data(str(root), image_size=image_size, memory_limit=0)
    assert isinstance(streamed.train, StreamedStore)
    assert (streamed.mean, streamed.std, streamed.fingerprint) == (kept.mean, kept.std, kept.fingerprint)
    assert "decoded whenever they are needed" in streamed.notes[-1]
    for part in ("train", "test"):
        assert_same(getattr(kept, part), getattr(streamed, part))
        assert_same(getattr(kept, part), pickle.loads(pickle.dumps(getattr(streamed, part))))


def test_memory_limit_counts_all_parts(folder):
    root = str(folder(PARTS))
    size = 20 * 3 * 16 * 16
    assert isinstance(load_data(root, memory_limit=size).train, MemoryStore)
    assert isinstance(load_data(root, memory_limit=size - 1).train, StreamedStore)


def test_colour_that_the_sample_missed(folder, save, monkeypatch):
    monkeypatch.setattr("foveate.data.dataset.PROBED_IMAGES", 2)
    root = folder({"a": 5, "b": 5}, mode="L")
    save("set/b/4.png")
    data = load_data(str(root))
    assert data.channels == 3
    assert data.notes[-1] == "9 of 10 images are greyscale: read as RGB."


def test_fingerprint_is_of_content_and_options_that_change_pixels(folder, tmp_path):
    root = folder(PARTS)
    fingerprint = load_data(str(root)).fingerprint
    copy = shutil.copytree(root, tmp_path / "elsewhere")
    assert load_data(str(copy)).fingerprint == fingerprint
    assert load_data(str(root), upscale=True, skip_broken=True, memory_limit=0).fingerprint == fingerprint
    assert load_data(str(root), image_size=8).fingerprint != fingerprint
    (copy / "train/a/0.png").unlink()
    assert load_data(str(copy)).fingerprint != fingerprint


def test_split(folder):
    data = load_data(str(folder({"train/a": 40, "train/b": 60, "test/a": 1, "test/b": 1}, size=(4, 4))))
    labels = data.train.labels
    training, validation = data.split(0, validation_fraction=0.2)
    assert np.array_equal(np.sort(np.concatenate([training, validation])), np.arange(100))
    assert np.bincount(labels[validation]).tolist() == [8, 12]
    again = data.split(0, validation_fraction=0.2)
    assert np.array_equal(training, again[0])
    assert np.array_equal(validation, again[1])
    assert not np.array_equal(validation, data.split(1, validation_fraction=0.2)[1])

    training, validation = data.split(0, validation_fraction=0.2, train_fraction=0.5)
    assert training.dtype == validation.dtype == np.int64
    assert np.bincount(labels[training]).tolist() == [16, 24]
    assert np.bincount(labels[validation]).tolist() == [4, 6]
    assert not set(training) & set(validation)
    training, validation = data.split(0, train_fraction=0.001)
    assert np.bincount(labels[training]).tolist() == np.bincount(labels[validation]).tolist() == [1, 1]
    with pytest.raises(RequestError, match=r"must lie in \(0, 1\], got 0"):
        data.split(0, train_fraction=0)


def test_own_validation_part_is_used_whole(folder):
    data = load_data(str(folder({**PARTS, "val/a": 2, "val/b": 2})))
    assert data.validation_store is data.validation
    training, validation = data.split(0, train_fraction=0.5)
    assert len(training) == 3 + 4
    assert validation.tolist() == [0, 1, 2, 3]


def test_kinds_are_noted(folder, save):
    root = folder(PARTS)
    save("set/train/a/deep.png", pixels=np.full((16, 16), 300, np.uint16))
    save("set/train/b/palette.png", pixels=Image.new("P", (16, 16)))
    assert load_data(str(root)).notes == (
        "1 of 22 images is greyscale: read as RGB.",
        "1 of 22 images is grey with more than 8 bits: scaled to 8 bits.",
        "1 of 22 images is stored with a palette: read as RGB.",
    )


@pytest.fixture
def broken(folder):
    root = folder(PARTS)
    (root / "train/a/0.png").write_bytes(b"nothing")
    whole = (root / "test/b/2.png").read_bytes()
    (root / "test/b/2.png").write_bytes(whole[: len(whole) // 2])
    return root


def test_broken_images_are_reported_together(broken):
    with pytest.raises(RequestError) as error:
        load_data(str(broken))
    message = str(error.value)
    assert message.startswith("2 broken images:")
    assert f"{broken}/train/a/0.png: it is not an image of a known format" in message
    assert f"{broken}/test/b/2.png: " in message
    assert "truncated" in message
    assert message.endswith("or leave it out with --skip-broken")


def test_broken_images_can_be_left_out(broken):
    kept = load_data(str(broken), skip_broken=True)
    assert (len(kept.train), len(kept.test)) == (14, 4)
    assert f"2 of 20 images are broken and were left out: {broken}/train/a/0.png" in kept.notes[-1]
    streamed = load_data(str(broken), skip_broken=True, memory_limit=0)
    assert (len(streamed.train), len(streamed.test)) == (14, 4)
    for part in ("train", "test"):
        assert_same(getattr(kept, part), getattr(streamed, part))
    assert kept.fingerprint == streamed.fingerprint


def test_leaving_out_broken_images_may_leave_too_few(folder):
    root = folder({"train/a": 2, "train/b": 4, "test/a": 1, "test/b": 1})
    (root / "train/a/0.png").write_bytes(b"nothing")
    with pytest.raises(RequestError, match=r"too few training images to split: of 'a' \(1\)"):
        load_data(str(root), skip_broken=True)


def test_nothing_but_broken_images(folder):
    root = folder({"a": 3, "b": 3})
    for file in root.glob("*/*"):
        file.write_bytes(b"nothing")
    with pytest.raises(RequestError, match="6 broken images"):
        load_data(str(root), skip_broken=True)


def test_smaller_than_the_crop(folder, save):
    root = folder(PARTS, size=(40, 32))
    save("set/train/b/small.png", size=(50, 20))
    tiny = save("set/test/b/tiny.png", size=(12, 40))
    with pytest.raises(RequestError) as error:
        load_data(str(root))
    assert "2 of 22 images smaller than the crop of 32 pixels" in str(error.value)
    assert f"the smallest is {tiny} with 12×40" in str(error.value)
    assert "Pass --image-size 12 or less, or --upscale" in str(error.value)
    assert load_data(str(root), image_size=12).image_size == 12
    assert load_data(str(root), upscale=True).image_size == 32


def test_streamed_images_smaller_than_the_crop(folder, save, monkeypatch):
    monkeypatch.setattr("foveate.data.dataset.PROBED_IMAGES", 4)
    monkeypatch.setattr("foveate.data.dataset.MEASURED_IMAGES", 2)
    root = folder(PARTS, size=(40, 32))
    small = save("set/train/b/small.png", size=(50, 20))
    store = load_data(str(root), memory_limit=0).train
    with pytest.raises(
        RequestError, match=f"an image smaller than the crop of 32 pixels: .*{small.name} with 50×20"
    ):
        everything(store)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train/a": 5, "test/a": 2}, "one class, 'a'"),
        ({"train/a": 2, "train/b": 2, "test/a": 1, "test/c": 1}, "only the test part has images of 'c'"),
        ({"a": 5, "b": 2}, r"of 'b' \(2\); each class needs at least 3"),
    ],
)
def test_classes_that_cannot_be_used(folder, counts, message):
    with pytest.raises(RequestError, match=message):
        load_data(str(folder(counts)))


def test_paths_that_cannot_be_used(save, tmp_path):
    with pytest.raises(RequestError, match=r"no folder 'digit', and it is no hub name .* nor 'digits'"):
        load_data("digit")
    with pytest.raises(RequestError, match="no folder '/no/such/folder'"):
        load_data("/no/such/folder")
    with pytest.raises(RequestError, match="is a file: give the folder"):
        load_data(str(save("x.png")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="there are no images in class folders"):
        load_data(str(tmp_path / "empty"))
    with pytest.raises(RequestError, match="at least 4 pixels, got 0"):
        load_data("digits", image_size=0)


def test_a_path_wins_over_a_hub_name(folder, monkeypatch, tmp_path):
    folder({"a": 3, "b": 3}).rename(tmp_path / "name")
    (tmp_path / "owner").mkdir()
    (tmp_path / "name").rename(tmp_path / "owner/name")
    monkeypatch.chdir(tmp_path)
    assert load_data("owner/name").name == "name"
    (tmp_path / "owner/name").rename(tmp_path / "digits")
    assert load_data("digits").classes == ("a", "b")
