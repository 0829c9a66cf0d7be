import shutil

import pytest

from foveate.data.folder import read_folder
from foveate.data.notes import Note
from foveate.errors import RequestError


def test_class_folders_alone(folder, save):
    root = folder({"b": 2, "a": 3})
    save("set/a/deep/er.JPEG")
    save("set/a/.hidden/x.png")
    save("set/.cache/x.png")
    found = read_folder(root)
    assert (found.name, list(found.classes), list(found.parts)) == ("set", ["a", "b"], ["train"])
    part = found.parts["train"]
    assert part.labels.tolist() == [0] * 4 + [1] * 2
    assert part[3] == root / "a/deep/er.JPEG"
    assert part.where(4) == str(root / "b/0.png")


def test_parts(folder):
    root = folder({"Train/a": 2, "Train/b": 1, "testing/b": 2, "valid/a": 1, "masks/x": 1})
    parts = read_folder(root).parts
    assert {role: part.labels.tolist() for role, part in parts.items()} == {
        "train": [0, 0, 1],
        "test": [1, 1],
        "validation": [0],
    }
    assert [parts["test"].where(i)[-15:] for i in (0, 1)] == ["testing/b/0.png", "testing/b/1.png"]


def test_one_part_of_a_set_says_where_the_others_are(folder):
    root = folder({"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1})
    (said,) = [note.text for note in read_folder(root / "train").notes]
    assert said == f"train lies beside val, by their names parts of the same set: give {root} to use them."
    assert not read_folder(root).notes


def test_a_class_may_be_called_test(folder):
    assert list(read_folder(folder({"test": 1, "control": 1})).classes) == ["control", "test"]


def test_what_is_left_out_is_said(folder, tmp_path):
    root = folder({"train/a": 1, "train/b": 1})
    (root / "test").mkdir()
    (root / "train/a/photo.HEIC").touch()
    assert list(read_folder(root).notes) == [
        Note("The test part was excluded: it has no images in class folders.", is_exclusion=True),
        Note("Files without a known image extension were excluded: 1 .heic.", is_exclusion=True),
    ]


def test_identity_is_of_names_and_sizes(folder, tmp_path):
    root = folder({"a": 2, "b": 1})
    identity = read_folder(root).identity
    copy = shutil.copytree(root, tmp_path / "elsewhere")
    assert read_folder(copy).identity == identity
    (copy / "a/0.png").rename(copy / "a/7.png")
    assert read_folder(copy).identity != identity
    (root / "a/0.png").write_bytes(b"other")
    assert read_folder(root).identity != identity


def test_no_images(tmp_path, save):
    with pytest.raises(
        RequestError, match=r"there are no images in class folders. Expected CLASS/IMAGE, or train"
    ):
        read_folder(tmp_path)
    save("x.png")
    with pytest.raises(
        RequestError, match=r"1 images lie in it directly, but no images in class folders.*\.png"
    ):
        read_folder(tmp_path)


def test_training_folder_without_class_folders(folder, save):
    root = folder({"val/a": 1, "val/b": 1})
    save("set/train/x.png")
    with pytest.raises(RequestError, match="no images in class folders"):
        read_folder(root)


def test_two_folders_for_one_part(folder):
    with pytest.raises(RequestError, match="both train and training are its train part: keep one"):
        read_folder(folder({"train/a": 1, "training/a": 1}))
