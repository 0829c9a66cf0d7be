import numpy as np
import pytest

from foveate.data.dense.cityscapes import CLASSES
from foveate.data.dense.masks import find_masks, read_mask, read_masks
from foveate.errors import RequestError

IMAGE, MASK = "leftImg8bit/{0}/{1}_leftImg8bit.png", "gtFine/{0}/{1}_gtFine_{2}.png"


def city(put, part, name, values, kind="labelIds"):
    put(IMAGE.format(part, name))
    return put(masks=MASK.format(part, name, kind), values=values)[0]


def test_label_ids_become_train_ids(root, put):
    mask = city(put, "train", "aachen/aachen_000000_000019", [7, 8, 11, 33, 0, 29])
    city(put, "val", "ulm/ulm_000001_000019", [7, 8])
    put(masks="gtFine/train/aachen/aachen_000000_000019_gtFine_instanceIds.png")
    city(put, "test", "bonn/bonn_000001_000019", [0, 3])
    city(put, "train_extra", "bern/bern_000001_000019", [7])
    assert find_masks(root) == "cityscapes"
    source = read_masks(root)
    assert {role: len(part) for role, part in source.parts.items()} == {"train": 1, "validation": 1}
    assert source.classes[:3] + source.classes[-1:] == ("road", "sidewalk", "building", "bicycle")
    assert len(source.classes) == 19
    assert read_mask(mask, source.table, source.unknown)[0].tolist() == [0, 1, 2, 18, 255, 255]
    # From the authors' table: trainId of each id, 255 where it has none.
    assert source.table[:34].tolist() == (
        [255] * 7 + [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        + [255, 255, 16, 17, 18]
    )  # fmt: skip
    assert source.unknown == set(range(34, 255))
    said = [note.text for note in source.notes]
    assert "The part test was excluded: its labels are not published." in said
    assert "The part train_extra was excluded: it has no fine labels." in said
    assert any(text.startswith("Classes without a pixel in any mask: wall, fence") for text in said)


def test_train_ids_where_there_are_no_label_ids(root, put):
    mask = city(put, "train", "a/x", [0, 18, 255], "labelTrainIds")
    city(put, "val", "b/y", [0, 18], "labelTrainIds")
    source = read_masks(root)
    assert source.classes == tuple(CLASSES.values())
    assert read_mask(mask, source.table, source.unknown)[0].tolist() == [0, 18, 255, 0, 18, 255]
    assert source.unknown == set(range(19, 255))


def test_label_ids_are_read_where_there_are_both(root, put):
    for kind, values in (("labelIds", [7, 33]), ("labelTrainIds", [0, 18])):
        city(put, "train", "a/x", values, kind)
        city(put, "val", "b/y", values, kind)
    assert read_masks(root).parts["train"].masks[0].name == "x_gtFine_labelIds.png"


def test_one_more_value_may_be_ignored(root, put):
    city(put, "train", "a/x", [7, 8, 11])
    city(put, "val", "b/y", [7, 8])
    source = read_masks(root, ignored=11)
    assert len(source.classes) == 18
    assert "building" not in source.classes
    assert np.array_equal(source.table[[7, 8, 11, 12]], [0, 1, 255, 2])


def test_refusals(root, put, tmp_path):
    city(put, "train", "a/x", [7, 8])
    put(IMAGE.format("val", "b/y"))
    with pytest.raises(RequestError, match="1 of 1 image of the validation part without a mask"):
        read_masks(root)
    city(put, "val", "b/y", [7, 40])
    with pytest.raises(RequestError, match="y_gtFine_labelIds.png has the value 40, which is no class"):
        read_masks(root)
    (tmp_path / "names.txt").write_text("a\nb")
    with pytest.raises(RequestError, match="Cityscapes' classes are known"):
        read_masks(root, class_names=tmp_path / "names.txt")


def test_no_part(root, put):
    city(put, "test", "b/y", [7, 40])
    with pytest.raises(RequestError, match="expected images in leftImg8bit/train/CITY"):
        read_masks(root)
