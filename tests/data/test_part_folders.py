"""Which folders are parts and which are classes, for layouts as people have them."""

import pytest

from foveate.data.folder import read_folder
from foveate.data.notes import Note
from foveate.data.part_names import roles_among
from foveate.errors import RequestError


def layout(root):
    """Classes, and how many images of each class each part has."""
    found = read_folder(root)
    counts = {
        role: [(part.labels == label).sum() for label in range(len(found.classes))]
        for role, part in found.parts.items()
    }
    return list(found.classes), counts


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["train_images", "images_test", "cats"], {"train_images": "train", "images_test": "test"}),
        (["train2017", "val2017"], {"train2017": "train", "val2017": "validation"}),
        (["TrainSet", "validation-set"], {"TrainSet": "train", "validation-set": "validation"}),
        (["training_data", "hold_out"], {"training_data": "train", "hold_out": "test"}),
        (["trainval", "test"], {"trainval": "train", "test": "test"}),
        (["train", "holdout"], {"train": "train", "holdout": "test"}),
        # The same words beside the word for a part, in two names at least:
        (["seg_train", "seg_test", "seg_pred"], {"seg_train": "train", "seg_test": "test"}),
        (["bullet_train", "bus"], {}),
        (["test_tube", "train_station"], {}),
        # The plain word wins over one with others beside it:
        (["train", "train_images", "test"], {"train": "train", "test": "test"}),
        (["train", "test", "train_masks", "val_masks"], {"train": "train", "test": "test"}),
        (["detrain", "vale", "contest"], {}),
    ],
)
def test_roles_by_name(names, roles):
    assert roles_among(names) == roles


def test_parts_that_hold_a_folder_of_their_own_name(folder):
    root = folder({f"training_set/training_set/{name}": 3 for name in ("cats", "dogs")})
    folder({f"test_set/test_set/{name}": 2 for name in ("cats", "dogs")})
    assert layout(root) == (["cats", "dogs"], {"train": [3, 3], "test": [2, 2]})
    notes = " ".join(note.text for note in read_folder(root).notes)
    assert "All images of training_set lie in the folder training_set/training_set" in notes
    assert "training_set as the train part, test_set as the test part" in notes or (
        "test_set as the test part, training_set as the train part" in notes
    )


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train_images", "images_test"),
        ("train2017", "val2017"),
        ("training-set", "dev"),
        ("train", "holdout"),
    ],
)
def test_other_words_for_parts(folder, train, test):
    root = folder({f"{train}/a": 3, f"{train}/b": 3, f"{test}/a": 1, f"{test}/b": 2})
    classes, parts = layout(root)
    assert classes == ["a", "b"]
    assert list(parts.values()).count([3, 3]) == 1
    assert set(parts) in ({"train", "test"}, {"train", "validation"})
    assert parts["train"] == [3, 3]


def test_a_folder_of_images_to_predict_beside_the_parts_is_named(folder):
    root = folder(
        {f"seg_{part}/seg_{part}/{name}": 2 for part in ("train", "test") for name in ("sea", "ice")}
    )
    folder({"seg_pred/seg_pred": 4})
    assert layout(root) == (["ice", "sea"], {"test": [2, 2], "train": [2, 2]})
    said = "Folders beside the parts were excluded: seg_pred (4 images)."
    assert Note(said, is_exclusion=True) in read_folder(root).notes


def test_a_part_with_one_class_is_not_opened(folder):
    root = folder({"train/cats/old": 2, "train/dogs": 2, "test/cats/old": 1})
    assert layout(root) == (["cats", "dogs"], {"train": [2, 2], "test": [1, 0]})


@pytest.mark.parametrize("outer", ["archive", "archive/data", "train_and_more"])
def test_a_root_one_level_off(folder, outer):
    root = folder({f"{outer}/train/a": 2, f"{outer}/train/b": 2, f"{outer}/test/a": 1, f"{outer}/test/b": 1})
    (root / "readme.txt").touch()
    (root / "__MACOSX").mkdir()
    assert layout(root) == (["a", "b"], {"train": [2, 2], "test": [1, 1]})
    assert Note(f"All images lie in the folder {outer}: it was read as the set.") in read_folder(root).notes


def test_the_training_part_alone_is_a_part(folder):
    assert layout(folder({"train/a": 2, "train/b": 1})) == (["a", "b"], {"train": [2, 1]})


def test_a_class_called_train(folder):
    root = folder({"train": 2, "bus": 3, "car": 1})
    assert layout(root) == (["bus", "car", "train"], {"train": [3, 1, 2]})
    assert any("train was read as a class" in note.text for note in read_folder(root).notes)
    inside = folder({f"vehicles/{part}/{name}": 2 for part in ("train", "test") for name in ("train", "bus")})
    assert layout(inside / "vehicles") == (["bus", "train"], {"train": [2, 2], "test": [2, 2]})


def test_classes_with_a_word_for_a_part_in_their_names(folder):
    root = folder({"bullet_train": 2, "test_tube": 2, "dev_board": 2})
    assert layout(root)[0] == ["bullet_train", "dev_board", "test_tube"]


def test_parts_inside_classes(folder):
    root = folder({"cats/train": 3, "cats/test": 1, "dogs/train": 2, "dogs/test": 2})
    assert layout(root) == (["cats", "dogs"], {"train": [3, 2], "test": [1, 2]})
    assert any("The parts lie inside the classes" in note.text for note in read_folder(root).notes)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            {"cats/train": 2, "cats/test": 1, "dogs": 3},
            "cats holds test, train, which are parts.*arrange all",
        ),
        (
            {"first/cats": 2, "first/dogs": 2, "second/cats": 1, "second/dogs": 1},
            "first, second hold the same",
        ),
        (
            {f"fold{k}/{name}": 1 for k in range(5) for name in ("cats", "dogs")},
            "hold the same folders.*as the parts of a set do",
        ),
        ({"train": 3, "test": 2, "cats": 1}, "test, train have the names of parts and hold images"),
        ({"train_images": 3, "test_images": 2}, "have the names of parts and hold images"),
        ({"train_images/a": 1, "train_data/a": 1}, "both train_data and train_images are its train part"),
        (
            {"train/a": 2, "train/b": 2, "more/a": 1, "more/b": 1},
            "more and train hold the same.*rename more to test",
        ),
        (
            {f"{site}/{part}/{name}": 1 for site in "xy" for part in ("train", "test") for name in "ab"},
            "x, y hold parts with class folders.*give the folder of one set, such as .*set/x",
        ),
        (
            {"a": 3, "b": 3, "test/a": 1, "test/b": 1},
            "test holds a, b, and folders of these names lie beside it",
        ),
        (
            {"a": 3, "b": 3, "more/a": 1, "more/b": 1},
            "more holds a, b, and folders of these names lie beside it",
        ),
        ({"val/a": 1, "val/b": 1, "test/a": 1, "other/c": 1}, "none of the others .other. is called train"),
        (
            {
                "train/train/a": 1,
                "train/train/b": 1,
                "train/val/a": 1,
                "train/val/b": 1,
                "test/a": 1,
                "test/b": 1,
            },
            "train holds train, val, which have the names of parts: move them one folder up",
        ),
    ],
)
def test_what_may_be_either_is_refused(folder, counts, message):
    with pytest.raises(RequestError, match=message):
        read_folder(folder(counts))


def test_folders_that_repeat_in_many_classes_are_said(folder):
    root = folder(
        {f"{name}/{side}": 1 for name in ("ant", "bee", "cow", "dog") for side in ("front", "back")}
    )
    assert layout(root) == (["ant", "bee", "cow", "dog"], {"train": [2, 2, 2, 2]})
    (note,) = read_folder(root).notes
    assert note.text.startswith("Every class has the same folders (back, front)")


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_images_beside_masks_are_no_classes(folder, prefix):
    root = folder({f"{prefix}{name}": 3 for name in ("images", "labels")})
    with pytest.raises(RequestError, match="images, labels are images and their masks or annotations"):
        read_folder(root)


def test_a_folder_of_sets_among_other_folders_names_one_of_them(folder):
    sets = {f"birds/{part}/{name}": 3 for part in ("train", "val") for name in ("ants", "bees")}
    root = folder(sets | {"scenes/images/train": 2, "cells/train": 2})
    with pytest.raises(RequestError, match="birds holds parts with class folders.*such as .*/birds"):
        read_folder(root)
