"""What is passed over in a folder of images is counted and named; what cannot be read is refused."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from foveate.data.folder import read_folder
from foveate.data.notes import Note
from foveate.data.tree import scan
from foveate.errors import RequestError


def names(root):
    (part,) = read_folder(root).parts.values()
    return part.images.files


def test_links_to_folders_are_followed_as_timm_does(folder, save, tmp_path):
    root = folder({"a": 1, "b": 1})
    elsewhere = save("elsewhere/deep/x.png").parent.parent
    (root / "a/more").symlink_to(elsewhere)
    (root / "c").symlink_to(elsewhere)
    expected = sorted(
        os.path.relpath(Path(where, file), root)
        for where, _, files in os.walk(root, followlinks=True)
        for file in files
    )
    assert sorted(names(root)) == expected
    assert "a/more/deep/x.png" in expected
    assert read_folder(root).notes == []


def test_links_that_lead_in_circles_or_nowhere_are_named(folder):
    root = folder({"a": 2, "b": 1})
    (root / "a/again").symlink_to(root)
    (root / "b/self").symlink_to(root / "b/self")
    (root / "b/gone.png").symlink_to(root / "nothing.png")
    assert names(root) == ["a/0.png", "a/1.png", "b/0.png"]
    assert read_folder(root).notes == [
        Note("Broken links were excluded (2): b/gone.png, b/self.", is_exclusion=True),
        Note("Links to a folder above were not followed (1): a/again."),
    ]


def test_hidden_folders_and_files_are_counted_and_named(folder, save):
    root = folder({"a": 1, "b": 1})
    save("set/__background__/x.png")
    save("set/__background__/y.png")
    save("set/a/.ipynb_checkpoints/z.png")
    save("set/b/.w.png")
    (root / "__MACOSX/a").mkdir(parents=True)
    (root / "__MACOSX/a/._0.png").touch()
    (root / "a/._0.png").touch()
    (note,) = read_folder(root).notes
    assert note.is_exclusion
    assert note.text == (
        "4 images in hidden files and folders were excluded: "
        "__background__ (2), a/.ipynb_checkpoints (1), b/.w.png (1)."
    )


def test_folders_without_images_and_loose_images_are_named(folder, save):
    root = folder({"train/a": 1, "train/b": 1, "test/a": 1, "masks": 3})
    (root / "train/empty").mkdir()
    save("set/train/loose.png")
    for name in ("train/phone/1.HEIC", "train/phone/2.heic", "test/phone/3.avif"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    notes = " ".join(note.text for note in read_folder(root).notes if note.is_exclusion)
    assert "train/empty (empty), train/phone (2 .heic)" in notes
    assert "test/phone (1 .avif)" in notes
    assert "1 images beside class folders were excluded: train/loose.png" in notes
    assert "masks (3 images)" in notes


def test_jfif_is_a_jpeg(folder, save):
    root = folder({"a": 1, "b": 1})
    shutil.move(save("x.jpg"), root / "b/x.jfif")
    assert "b/x.jfif" in names(root)


@contextmanager
def unprivileged():
    """Give up being root meanwhile, where the tests are run by root, who reads every folder."""
    if os.geteuid() != 0:
        yield
        return
    group = os.getegid()
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


def test_a_folder_that_cannot_be_read_is_refused_by_name(folder):
    with tempfile.TemporaryDirectory() as outer:
        Path(outer).chmod(0o755)
        made, roots = folder({"train/a": 1, "train/b": 1, "test/a": 1}), [f"{outer}/set", f"{outer}/images"]
        refused = [f"{roots[0]}/train/b", f"{roots[1]}/train/b/0.png"]
        for root, mode in zip(roots, (0o000, 0o444), strict=True):
            shutil.copytree(made, root)
            Path(root, "train/b").chmod(mode)
        for root, path in zip(roots, refused, strict=True):
            with unprivileged(), pytest.raises(RequestError) as error:
                read_folder(Path(root))
            assert f"{path} cannot be read: Permission denied" in str(error.value)
        for root in roots:
            Path(root, "train/b").chmod(0o755)


def test_what_cannot_be_listed_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"gone cannot be read: No such file"):
        scan(tmp_path / "gone")
