import os
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from foveate.data.dataset import load_data
from foveate.data.greys import GreyRange
from foveate.data.layout import Layout
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
    assert data.fingerprint == data.names_fingerprint, "studies of digits keep their runs"
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
    assert "decoded on demand" in streamed.notes[-1]
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


def overwrite(path, level=7):
    """Put another image of as many bytes in the place of a BMP, under the same times."""
    before = path.stat()
    Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("memory_limit", [1 << 30, 0])
def test_images_in_two_parts_are_named(save, tmp_path, memory_limit):
    for seed, name in enumerate(["a/0", "a/1", "a/2", "b/0", "b/1"]):
        save(f"set/train/{name}.png", seed=seed)
    save("set/test/a/x.png", seed=5)
    root = tmp_path / "set"
    assert not any("also" in note for note in load_data(str(root), memory_limit=memory_limit).notes)
    save("set/test/b/y.png", seed=4)
    (said,) = [n for n in load_data(str(root), memory_limit=memory_limit).notes if "also" in n]
    assert said == (
        f"The training part also has 1 of 2 images of the test part: {root}/test/b/y.png "
        f"(= {root}/train/b/1.png). Networks may have learnt them by heart."
    )


@pytest.mark.parametrize("memory_limit", [0, 1 << 30])
def test_images_that_are_replaced_in_place_are_other_images(save, tmp_path, memory_limit):
    for k in range(12):
        save(f"set/{'ab'[k % 2]}/{k}.bmp", seed=k)
    before = load_data(str(tmp_path / "set"), memory_limit=memory_limit)
    overwrite(tmp_path / "set/a/4.bmp")
    after = load_data(str(tmp_path / "set"), memory_limit=memory_limit)
    assert before.fingerprint != after.fingerprint
    assert before.names_fingerprint == after.names_fingerprint


def test_names_of_files_do_not_decide_beyond_order_and_class(folder):
    root = folder(PARTS)
    fingerprint = load_data(str(root)).fingerprint
    (root / "train/a/5.png").rename(root / "train/a/6.png")
    assert load_data(str(root)).fingerprint == fingerprint
    (root / "train/a/6.png").rename(root / "train/a/00.png")
    assert load_data(str(root)).fingerprint != fingerprint, "the order decides who is held out"


def test_fingerprint_of_a_huge_set_is_of_a_sample_and_of_times(save, tmp_path, monkeypatch):
    for k in range(12):
        save(f"set/{'ab'[k % 2]}/{k}.bmp", seed=k)
    monkeypatch.setattr("foveate.data.content.HASHED_BYTES", 100)
    monkeypatch.setattr("foveate.data.content.HASHED_IMAGES", 4)
    root = tmp_path / "set"

    def fingerprint():
        return load_data(str(root), memory_limit=0).fingerprint

    first = fingerprint()
    assert first == fingerprint()
    os.utime(root / "b/11.bmp", ns=(0, 1))
    assert first != fingerprint()
    second = fingerprint()
    changed = [name for name in sorted(root.glob("*/*")) if overwrite(name) or fingerprint() != second]
    assert changed, "the sample is read"


def test_streamed_images_that_change_or_vanish_are_named(save, tmp_path):
    for k in range(12):
        save(f"set/{'ab'[k % 2]}/{k}.bmp", seed=k)
    store = load_data(str(tmp_path / "set"), memory_limit=0).train
    everything(store)
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "set/a/0.bmp")
    with pytest.raises(RequestError, match=r"set/a/0\.bmp: it was changed after the set was opened"):
        everything(store)
    (tmp_path / "set/a/0.bmp").unlink()
    with pytest.raises(RequestError, match=r"set/a/0\.bmp: it was removed after"):
        everything(store)


def test_labels_in_another_order_of_the_classes(folder):
    root = str(folder({"train/a": 2, "train/b": 3, "train/c": 2, "test/a": 1, "test/c": 2, "val/b": 1}))
    for memory_limit in (0, 1 << 30):
        data = load_data(root, memory_limit=memory_limit)
        other = data.with_classes(("c", "a", "b"))
        for part in ("train", "test", "validation"):
            one, two = getattr(data, part), getattr(other, part)
            images, labels = everything(two)
            assert torch.equal(images, everything(one)[0])
            assert [other.classes[label] for label in labels] == [data.classes[k] for k in one.labels]
        assert data.with_classes(("a", "b", "c")) is data


def test_greys_of_one_set_share_one_range(save, tmp_path):
    """A dark image of a 12-bit camera stays dark beside a bright one, also streamed and in the test part."""
    ramp = np.tile(np.arange(64, dtype=np.uint16), (64, 1))
    for part in ("train", "test"):
        for name, step in (("dark", 8), ("bright", 65)):
            for i in range(4):
                save(f"set/{part}/{name}/{i}.png", pixels=ramp * step)
    kept = load_data(str(tmp_path / "set"))
    assert kept.greys == (0, 4095)
    for data in (kept, load_data(str(tmp_path / "set"), memory_limit=0)):
        for part in (data.train, data.test):
            dark, bright = (
                part.__getitems__(np.flatnonzero(part.labels == label)[:1])[0] for label in (1, 0)
            )
            assert dark.max() == 31  # 504 of 4095
            assert bright.max() == 255
            assert len(bright.unique()) == 64
        assert data.fingerprint == kept.fingerprint
    assert kept.notes[0] == (
        "16 of 16 images are grey with more than 8 bits: 0 to 4,095 become 0 to 255, in every image alike."
    )


def test_the_range_of_greys_identifies_a_set_unless_it_is_16_bits(save, tmp_path):
    """One value decides the range, and with it the pixels; sets that use 16 bits keep their fingerprint."""
    for name in "ab":
        for i in range(4):
            save(f"set/{name}/{i}.png", pixels=np.full((8, 8), 1000 + i, np.uint16))
    save("set/a/0.png", pixels=np.full((8, 8), 4000, np.uint16))
    twelve = load_data(str(tmp_path / "set"))
    save("set/a/0.png", pixels=np.full((8, 8), 40_000, np.uint16))
    sixteen = load_data(str(tmp_path / "set"))
    assert (twelve.greys, sixteen.greys) == ((0, 4095), (0, 65535))
    assert twelve.fingerprint != sixteen.fingerprint
    layout = Layout(1, 8, 8, 1, False)
    assert replace(layout, greys=GreyRange(0, 65535)).own_greys == layout.own_greys == ()
    assert replace(layout, greys=GreyRange(0, 4095)).own_greys == ((0, 4095),)


def test_a_few_bright_pixels_do_not_hide_that_levels_are_lost(save, tmp_path):
    for name in "ab":
        for i in range(4):
            pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
            pixels[0, 0] = 65535  # a broken sensor element
            save(f"set/{name}/{i}.png", pixels=pixels)
    assert "keep at most 16 of 256 levels" in " ".join(load_data(str(tmp_path / "set")).notes)


def test_a_wide_image_that_the_sample_of_a_streamed_set_missed_is_refused(folder, save, monkeypatch):
    monkeypatch.setattr("foveate.data.dataset.PROBED_IMAGES", 2)
    root = folder(PARTS, mode="L")
    save("set/train/b/4.png", pixels=np.full((16, 16), 3000, np.uint16))
    with pytest.raises(RequestError, match="4.png: it has greys of more than 8 bits, .*--skip-broken"):
        load_data(str(root), memory_limit=0)
    assert load_data(str(root), memory_limit=0, skip_broken=True).greys == (0, 4095)


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
        "1 of 22 images is grey with more than 8 bits: 0 to 1,023 become 0 to 255, in every image alike.",
        "1 of 22 images is stored with a palette: read as RGB.",
        "Warning: the greys of more than 8 bits keep at most 1 of 256 levels, as nearly all of their values "
        "lie close together: save them with 8 bits, scaled to the values that matter.",
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
    assert message.endswith("or skip them with --skip-broken")


def test_broken_images_can_be_left_out(broken):
    kept = load_data(str(broken), skip_broken=True)
    assert (len(kept.train), len(kept.test)) == (14, 4)
    assert f"2 of 20 images are broken and were excluded: {broken}/train/a/0.png" in kept.notes[-1]
    assert kept.exclusions == kept.notes[-1:]
    streamed = load_data(str(broken), skip_broken=True, memory_limit=0)
    assert (len(streamed.train), len(streamed.test)) == (14, 4)
    for part in ("train", "test"):
        assert_same(getattr(kept, part), getattr(streamed, part))
    assert kept.fingerprint == streamed.fingerprint


def test_leaving_out_broken_images_may_leave_too_few(folder):
    root = folder({"train/a": 2, "train/b": 4, "test/a": 1, "test/b": 1})
    (root / "train/a/0.png").write_bytes(b"nothing")
    with pytest.raises(RequestError, match=r"too few training images to split: 'a' \(1\)"):
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
    assert "2 of 22 images are smaller than the crop of 32 pixels" in str(error.value)
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
        RequestError, match=f"an image is smaller than the crop of 32 pixels: .*{small.name} with 50×20"
    ):
        everything(store)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train/a": 5, "test/a": 2}, "one class, 'a'"),
        ({"train/a": 2, "train/b": 2, "test/a": 1, "test/c": 1}, "only the test part has images of 'c'"),
        ({"a": 5, "b": 2}, r"split: 'b' \(2\); each class needs at least 3"),
    ],
)
def test_classes_that_cannot_be_used(folder, counts, message):
    with pytest.raises(RequestError, match=message):
        load_data(str(folder(counts)))


def test_paths_that_cannot_be_used(save, tmp_path):
    with pytest.raises(RequestError, match=r"no folder 'digit', and it is not 'digits' or a hub name"):
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
    (tmp_path / "digits" / "study.json").write_text("{}")  # the study was given --out digits
    assert load_data("digits").classes == tuple("0123456789")
    (tmp_path / "digits").rename(tmp_path / "mine")
    with pytest.raises(RequestError, match="'mine' is the folder of a study, and holds no images"):
        load_data("mine")
