"""Decoded images that processes share: real files, and processes that are forked and killed."""

import multiprocessing
import os
import re
import resource
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from foveate.data.dataset import load_data
from foveate.data.shared import find_shared, remove_unused, share, shared_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="its system has no shared locks")


@pytest.fixture
def root(folder, tmp_path, monkeypatch):
    """A set of 24 images of 32×32 pixels; decoded images go to a folder of this test alone."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return folder({"train/a": 9, "train/b": 9, "test/a": 3, "test/b": 3}, size=(32, 32))


def in_a_process(work, *arguments):
    """Return what `work` returns in a forked process, or how that ended, as a negative number."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=lambda: theirs.send(work(*arguments)))
    process.start()
    theirs.close()
    try:
        returned = ours.recv()
    except EOFError:
        returned = None
    process.join()
    return returned if process.exitcode == 0 else process.exitcode


def files():
    return sorted(path.suffix for path in shared_folder().rglob("*") if path.is_file())


def private_kilobytes(name):
    """What this process has of a file that it maps, and shares with no other process."""
    found = [one.split("VmFlags")[0] for one in Path("/proc/self/smaps").read_text().split(f"{name}\n")[1:]]
    assert found
    return sum(int(kb) for one in found for kb in re.findall(r"Private_Dirty: +(\d+) kB", one))


def test_shared_images_are_those_that_were_decoded(root):
    data, plain = load_data(str(root)), load_data(str(root))
    assert share(data) is None
    for store, other in ((data.train, plain.train), (data.test, plain.test)):
        assert store.is_mapped
        assert store.in_memory
        index = np.arange(len(store))[::-2]
        for part, expected in zip(
            store.__getitems__(index.copy()), other.__getitems__(index.copy()), strict=True
        ):
            assert torch.equal(part, expected)
    assert share(data) is None  # a second time changes nothing
    assert files() == [".json", ".lock", ".npy", ".npy"]


def test_another_process_maps_them_without_decoding(root):
    data = load_data(str(root), image_size=24)
    assert share(data) is None

    def read():
        found = find_shared(data.content_fingerprint, str(root))
        fields = ("name", "classes", "channels", "image_size", "canvas", "padding", "mean", "std", "notes")
        same = all(getattr(found, name) == getattr(data, name) for name in (*fields, "fingerprint", "greys"))
        equal = (found.train.images.numpy() == data.train.images.numpy()).all()
        labels = (found.test.labels == data.test.labels).all()
        return bool(same and equal and labels and found.validation is None), private_kilobytes("images.npy")

    assert in_a_process(read) == (True, 0)


def change_one(root):
    """Other pixels in a file of the same name, size and modification time."""
    path = root / "train/a/1.png"
    state, content = path.stat(), bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    assert path.stat().st_mtime_ns == state.st_mtime_ns


@pytest.mark.parametrize(
    "change",
    [
        change_one,
        lambda root: (root / "train/a/1.png").unlink(),
        lambda root: (root / "train/a/new.png").write_bytes((root / "train/a/1.png").read_bytes()),
        lambda root: (root / "train/a").rename(root / "train/c"),
    ],
    ids=["other pixels", "one less", "one more", "other class"],
)
def test_images_of_changed_files_are_not_taken(root, change):
    data = load_data(str(root))
    share(data)
    assert find_shared(data.content_fingerprint, str(root)) is not None
    change(root)
    assert find_shared(data.content_fingerprint, str(root)) is None


def test_the_last_process_removes_them(root):
    data = load_data(str(root))
    content = data.content_fingerprint
    share(data)
    second = load_data(str(root))
    share(second)
    assert files() == [".json", ".lock", ".npy", ".npy"]
    del data
    remove_unused()
    assert second.train.images.sum() > 0
    assert files() == [".json", ".lock", ".npy", ".npy"]
    del second
    assert files() == []
    assert find_shared(content, str(root)) is None


def test_what_a_killed_process_left_is_removed_by_the_next_command(root):
    def share_and_die():
        data = load_data(str(root))
        share(data)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_process(share_and_die) == -signal.SIGKILL
    assert files() == [".json", ".lock", ".npy", ".npy"]
    remove_unused()
    assert files() == []


def test_a_disk_without_room_leaves_the_images_in_memory(root):
    """A limit on the size of files stands for the end of the disk."""

    def share_with_limit():
        data = load_data(str(root))
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        said = share(data)
        return said, data.train.is_mapped, len(data.train.__getitems__([0, 3])[0])

    said, is_mapped, images = in_a_process(share_with_limit)
    assert re.match(
        r"Each process keeps the 0 MB of decoded images in its own memory: .*File too large", said
    )
    assert not is_mapped
    assert images == 2
    assert files() == []


def test_a_folder_of_somebody_else_is_not_used(root):
    shared_folder().mkdir(mode=0o777)
    shared_folder().chmod(0o777)
    data = load_data(str(root))
    assert "is not a folder of this user alone" in share(data)
    assert not data.train.is_mapped
    assert find_shared(data.content_fingerprint, str(root)) is None


def test_streamed_images_are_not_shared(root):
    assert share(load_data(str(root), memory_limit=0)) is None
    assert not shared_folder().exists()
