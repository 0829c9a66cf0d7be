import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from foveate.data.dense import mask_survey
from foveate.data.dense.masks import read_mask, read_masks
from foveate.errors import RequestError, answering_a_command


def texts(source):
    return [note.text for note in source.notes]


def test_labels_of_masks_without_names(root, put):
    put("images/train/a.png images/train/b.png images/val/c.png")
    a, _, _ = put(masks="labels/train/a.png labels/train/b.png labels/val/c.png", values=[2, 0, 5, 255])
    source = read_masks(root)
    assert source.name == "set"
    assert source.classes == ("class 0", "class 2", "class 5")
    assert source.table.dtype == np.uint8
    assert source.table[[0, 2, 5, 255]].tolist() == [0, 1, 2, 255]
    assert source.unknown == set(range(256)) - {0, 2, 5, 255}
    assert texts(source) == [
        "No file names the classes (such as classes.txt): each value that masks have is one (0, 2, 5)."
    ]
    labels = read_mask(a, source.table, source.unknown)
    assert (labels.dtype, labels.shape, labels[0].tolist()) == (np.uint8, (4, 6), [1, 0, 2, 255, 1, 0])


def test_ignored_value(root, put):
    put("images/a.png images/b.png")
    a, _ = put(masks="labels/a.png labels/b.png", values=[0, 1, 2, 11, 255, 1])
    source = read_masks(root, ignored=11)
    assert source.classes == ("class 0", "class 1", "class 2")
    assert read_mask(a, source.table, source.unknown)[0].tolist() == [0, 1, 2, 255, 255, 1]
    assert read_masks(root, ignored=0).classes == ("class 1", "class 2", "class 11")
    with pytest.raises(RequestError, match="between 0 and 255, got 256"):
        read_masks(root, ignored=256)


def test_names_of_a_file(root, put, tmp_path):
    put("images/a.png images/b.png")
    put(masks="labels/a.png labels/b.png", values=[0, 2])
    (root / "codes.txt").write_text("sky\nroad\ncar\nvoid")
    source = read_masks(root, ignored=3)
    assert source.classes == ("sky", "road", "car")
    assert source.table[:4].tolist() == [0, 1, 2, 255]
    assert texts(source) == [
        "The classes are named by codes.txt.",
        "Classes without a pixel in any mask: road.",
    ]
    (tmp_path / "mine.txt").write_text("0 a\n2 b")
    given = read_masks(root, class_names=tmp_path / "mine.txt")
    assert given.classes == ("a", "b")
    assert given.table[:4].tolist() == [0, 255, 1, 255]
    assert 1 in given.unknown


def test_unknown_values_are_named(root, put):
    put("images/a.png images/b.png images/c.png")
    put(masks="labels/a.png labels/c.png", values=[0, 1, 2, 9])
    put(masks="labels/b.png", values=[0, 1])
    (root / "classes.txt").write_text("sky\nroad")
    with pytest.raises(RequestError) as caught, answering_a_command():
        read_masks(root)
    assert str(caught.value) == (
        f"2 masks, the first is {root}/labels/a.png, have the values 2, 9, which are no classes and not "
        "ignored: name each value in the file of class names (its first line is the value 0), correct the "
        "masks, or ignore one value (--ignored-label 2)"
    )


def test_unknown_value_when_a_mask_is_read(root, put):
    put("images/a.png images/b.png")
    path, _ = put(masks="labels/a.png labels/b.png")
    source = read_masks(root)
    put(masks="labels/a.png", values=[0, 1, 4])
    with pytest.raises(RequestError, match=r"a.png has the value 4, which is no class .*ignored=4"):
        read_mask(path, source.table, source.unknown)
    path.write_bytes(b"")
    with pytest.raises(RequestError, match=r"a.png: it is empty"):
        read_mask(path, source.table, source.unknown)


def refusal(root, **options):
    with pytest.raises(RequestError) as caught:
        read_masks(root, **options)
    return str(caught.value)


def test_black_and_white_masks(root, put):
    put("images/a.png images/b.png", "")
    put(masks="masks/a.png masks/b.png", values=[0, 255])
    assert refusal(root).startswith(
        f"{root}: its masks have the values 0 and 255, as drawing programs write black and white, and 255"
    )
    (root / "classes.txt").write_text("background\ncell")
    assert "Write 1 in place of 255" in refusal(root)
    for name in "ab":
        Image.fromarray(np.arange(24).reshape(4, 6) > 10).save(root / f"masks/{name}.png")
    assert read_masks(root).classes == ("background", "cell")


def test_too_few_classes(root, put):
    put("images/a.png images/b.png")
    put(masks="masks/a.png masks/b.png", values=[3])
    assert refusal(root) == (
        f"{root}: its masks have the value 3, of which 1 is a class: training needs at least two"
    )
    put(masks="masks/a.png masks/b.png", values=[7, 255])
    assert "7, 255, of which none is a class" in refusal(root, ignored=7)


def test_blurred_edges(root, put):
    put("images/a.png images/b.png", "masks/a.png masks/b.png")
    for name in "ab":
        Image.fromarray(np.arange(200, dtype=np.uint8).reshape(20, 10)).save(root / f"masks/{name}.png")
        Image.new("RGB", (10, 20)).save(root / f"images/{name}.png")
    assert "its masks have 200 values and no file names the classes" in refusal(root)
    (root / "classes.txt").write_text("\n".join(f"thing{k}x" for k in range(200)))
    assert len(read_masks(root).classes) == 200


def test_masks_of_another_size(root, put):
    put("images/a.png images/b.png", "masks/a.png masks/b.png")
    Image.new("L", (3, 2)).save(root / "masks/b.png")
    assert refusal(root).startswith(
        f"{root}/masks/b.png has 3×2 pixels, and its image {root}/images/b.png has 6×4: give both"
    )


def test_all_wrong_masks_are_counted_and_three_are_named(root, put):
    put("images/a.png images/b.png images/c.png images/d.png images/e.png", "masks/c.png")
    for name in "ade":
        Image.new("RGB", (6, 4)).save(root / f"masks/{name}.png")
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(root / "masks/b.png")
    said = refusal(root).splitlines()
    assert said[0] == "4 of 5 masks cannot be used:"
    assert said[1].startswith(f"  {root}/masks/a.png: it is an image of colours")
    assert said[2].startswith(f"  {root}/masks/b.png: it has 16 bits")
    assert said[3].startswith(f"  {root}/masks/d.png: it is")
    assert said[4:] == ["  and 1 more"]


def test_broken_image(root, put):
    put("images/a.png images/b.png", "masks/a.png masks/b.png")
    (root / "images/b.png").write_bytes(b"no image")
    assert refusal(root) == f"{root}/images/b.png: it is not an image of a known format"


def test_class_of_another_part(root, put):
    put("images/train/a.png images/val/b.png images/test/c.png", "labels/train/a.png labels/val/b.png")
    put(masks="labels/test/c.png", values=[0, 1, 6])
    assert refusal(root).startswith(f"{root}: only the test part has pixels of 'class 6': add images")
    assert list(read_masks(root, ignored=6).parts) == ["test", "train", "validation"]


def test_one_image(root, put):
    put("images/a.png", "labels/a.png")
    assert "has 1 image with a mask: training needs at least two" in refusal(root)


def test_masks_without_labelled_pixels_are_counted(root, put):
    put("images/train/a.png images/train/b.png images/val/c.png", "labels/train/a.png")
    put(masks="labels/train/b.png labels/val/c.png", values=[255])
    assert texts(read_masks(root))[-1] == (
        "1 of 2 training masks without a labelled pixel: nothing is learned from them."
    )


def test_other_folders(root, put):
    put("cat/a.png dog/b.png")
    assert "expected images with masks, such as images/train and labels/train" in refusal(root)


def test_a_sample_of_many_masks(root, put, monkeypatch):
    monkeypatch.setattr(mask_survey, "MOST_MASKS", 4)
    train = [f"{part}/train/{k}.png" for part in ("images", "labels") for k in range(6)]
    val = [f"{part}/val/{k}.png" for part in ("images", "labels") for k in range(2)]
    put(" ".join(train[:6] + val[:2]))
    put(masks=" ".join(train[6:] + val[2:]), values=[0, 3])
    source = read_masks(root)
    assert source.classes == ("class 0", "class 1", "class 2", "class 3")  # 1 and 2 may be in the others
    assert texts(source)[1:] == [
        "Classes without a pixel in a mask that was looked at: class 1, class 2.",
        "4 of 8 masks were looked at before training.",
    ]
    assert read_mask(root / "labels/train/5.png", source.table, source.unknown)[0].tolist() == [0, 3] * 3


def test_finding_imports_no_torch(root, put):
    put("images/a.png images/b.png", "labels/a.png labels/b.png")
    code = (
        "import sys; from pathlib import Path; from foveate.data.dense.masks import find_masks; "
        "print(find_masks(Path(sys.argv[1])), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["folders", "False"]
