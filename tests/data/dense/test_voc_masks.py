import pytest

from foveate.data.dense.masks import find_masks, read_mask, read_masks
from foveate.errors import RequestError


@pytest.fixture
def voc(root, put):
    """A set of four images with masks in two lists, and an image that has none."""
    put("JPEGImages/a.jpg JPEGImages/b.jpg JPEGImages/c.jpg JPEGImages/d.jpg JPEGImages/other.jpg")
    put(
        masks=" ".join(f"SegmentationClass/{name}.png" for name in "abcd"),
        values=[0, 15, 20, 255],
        palette=True,
    )
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    (lists / "trainval.txt").write_text("a\nb\nc\n")
    return root


def test_lists_are_the_parts(voc):
    assert find_masks(voc) == "voc"
    source = read_masks(voc)
    parts = {role: [path.stem for path in part.images] for role, part in source.parts.items()}
    assert parts == {"train": ["a", "b"], "validation": ["c"]}
    assert source.parts["train"].masks[1] == voc / "SegmentationClass/b.png"
    assert (source.classes[0], source.classes[15], source.classes[20], len(source.classes)) == (
        *("background", "person", "tvmonitor"),
        21,
    )
    labels = read_mask(source.parts["train"].masks[0], source.table, source.unknown)
    assert labels[0].tolist() == [0, 15, 20, 255, 0, 15]
    assert source.unknown == set(range(21, 255))
    assert "1 masks that no list names were excluded." in [note.text for note in source.notes]


def test_below_vocdevkit(voc, tmp_path):
    (tmp_path / "kit/VOCdevkit").mkdir(parents=True)
    voc.rename(tmp_path / "kit/VOCdevkit/VOC2012")
    assert find_masks(tmp_path / "kit") == "voc"
    assert len(read_masks(tmp_path / "kit").parts["train"]) == 2


def test_trainval_alone(voc):
    for name in ("train", "val"):
        (voc / f"ImageSets/Segmentation/{name}.txt").unlink()
    assert {role: len(part) for role, part in read_masks(voc).parts.items()} == {"train": 3}


def test_other_names(voc):
    (voc / "class_names.txt").write_text("\n".join(f"thing {k}x" for k in range(21)))
    assert read_masks(voc).classes[20] == "thing 20x"


def test_test_part_without_masks(voc):
    (voc / "ImageSets/Segmentation/test.txt").write_text("other\n")
    source = read_masks(voc)
    assert "test" not in source.parts
    assert "The test part was excluded: it has 1 image and no masks." in [note.text for note in source.notes]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("val", "c\nother\n", "1 of 2 images of the validation part without a mask"),
        ("val", "none\n", "1 of 1 images that are not in .*JPEGImages, the first is none"),
        ("val", "a\nc\n", "val.txt lists a, which is in the train part"),
        ("val", "\n", "val.txt is empty"),
    ],
)
def test_refused_lists(voc, name, text, said):
    (voc / f"ImageSets/Segmentation/{name}.txt").write_text(text)
    with pytest.raises(RequestError, match=said):
        read_masks(voc)
