import pytest

from foveate.data.dense.mask_folders import read_mask_folders
from foveate.data.dense.masks import find_masks
from foveate.errors import RequestError

LAYOUTS = {
    "kinds first": (
        "images/train/a.jpg images/train/b.jpg images/val/c.jpg",
        "labels/train/a.png labels/train/b.png labels/val/c.png",
    ),
    "names of parts that differ": (
        "Images/training/a.jpg Images/training/b.jpg Images/val/c.jpg",
        "annotations/train/a.png annotations/train/b.png annotations/validation/c.png",
    ),
    "folders inside the parts": (
        "images/train/x/a.jpg images/train/y/a.jpg images/val/x/c.jpg",
        "masks/train/x/a.png masks/train/y/a.png masks/val/x/c.png",
    ),
    "parts first": (
        "train/images/a.jpg train/images/b.jpg val/images/c.jpg",
        "train/masks/a.png train/masks/b.png val/masks/c.png",
    ),
    "masks beside the parts": (
        "train/a.png train/b.png val/c.png",
        "trainannot/a.png trainannot/b.png valannot/c.png",
    ),
    "part and kind in one name": (
        "train_images/a.jpg train_images/b.jpg val_images/c.jpg",
        "train_masks/a.png train_masks/b.png val_masks/c.png",
    ),
    "one folder for a part": (
        "train/a.jpg train/b.jpg val/c.jpg",
        "train/a_mask.png train/b_mask.png val/c_mask.png",
    ),
    "below another folder": (
        "set_v2/images/train/a.jpg set_v2/images/train/b.jpg set_v2/images/val/c.jpg",
        "set_v2/labels/train/a.png set_v2/labels/train/b.png set_v2/labels/val/c.png",
    ),
    "a suffix": (
        "images/train/a.jpg images/train/b.jpg images/val/c.jpg",
        "labels/train/a_L.png labels/train/b_L.png labels/val/c_L.png",
    ),
}


def relative(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_with_parts(root, put, layout):
    images, masks = LAYOUTS[layout]
    put(images, masks)
    assert find_masks(root) == "folders"
    parts = read_mask_folders(root).parts
    assert list(parts) == ["train", "validation"]
    for kind, expected in (("images", images), ("masks", masks)):
        found = {role: relative(getattr(part, kind), root) for role, part in parts.items()}
        assert found == {"train": expected.split()[:2], "validation": expected.split()[2:]}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/a.jpg images/b.jpg", "masks/a.png masks/b.png"),
        ("img/a.v1.jpg img/b.v1.jpg", "gt/a.v1_gt.png gt/b.v1_gt.png"),
        ("JPEGImages/a.jpg JPEGImages/b.jpg", "SegmentationClassPNG/a.png SegmentationClassPNG/b.png"),
        ("images/images/a.jpg images/images/b.jpg", "annotations/trimaps/a.png annotations/trimaps/b.png"),
        ("a.jpg b.jpg", "a_mask.png b_mask.png"),
    ],
)
def test_layouts_of_one_part(root, put, images, masks):
    put(images, masks)
    assert find_masks(root) == "folders"
    parts = read_mask_folders(root).parts
    assert {role: relative(part.images, root) for role, part in parts.items()} == {"train": images.split()}
    assert relative(parts["train"].masks, root) == masks.split()


@pytest.mark.parametrize(
    "names",
    [
        "cat/a.jpg dog/b.jpg",
        "train/cat/a.jpg train/dog/b.jpg val/cat/c.jpg val/dog/d.jpg",
        "train/a.jpg train_images/b.jpg",
        "a.jpg b.jpg c_mask.jpg",
        "images/a.jpg labels/a.txt",
        "images/cat/a.jpg images/dog/b.jpg",
        "test/good/a.png ground_truth/good/a.png",
    ],
)
def test_sets_of_other_tasks_are_not_found(root, put, names):
    put(" ".join(name for name in names.split() if not name.endswith("txt")))
    for name in names.split():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    assert find_masks(root) is None


def test_empty_and_missing_folders_are_not_found(root):
    assert find_masks(root) is None
    assert find_masks(root / "none") is None


def test_a_test_part_without_masks_is_excluded(root, put):
    put("train/images/a.jpg test/images/b.jpg test/images/c.jpg", "train/masks/a.png")
    found = read_mask_folders(root)
    assert list(found.parts) == ["train"]
    (note,) = found.notes
    assert note.text == "The test part was excluded: it has 2 images and no masks."
    assert note.is_exclusion


def test_images_beside_the_parts_are_excluded(root, put):
    put("images/train/a.jpg images/extra/b.jpg", "labels/train/a.png")
    found = read_mask_folders(root)
    assert list(found.parts) == ["train"]
    assert [note.text for note in found.notes] == [
        "1 images beside the parts in images were excluded: extra/b.jpg."
    ]


def refusal(root):
    assert find_masks(root) == "folders"
    with pytest.raises(RequestError) as caught:
        read_mask_folders(root)
    return str(caught.value)


def test_images_without_masks(root, put):
    put("images/train/a.jpg images/train/b.jpg images/train/c.jpg images/val/d.jpg", "labels/train/a.png")
    (root / "labels/train/b.npy").touch()
    said = refusal(root)
    assert said.startswith(
        f"2 of 3 images of the train part without a mask, the first is {root}/images/train/b"
    )
    assert "also has 1 .npy, which are no images" in said


def test_validation_images_without_masks(root, put):
    put("images/train/a.jpg images/val/d.jpg", "labels/train/a.png")
    assert refusal(root).startswith("1 of 1 image of the validation part without a mask")


def test_masks_without_images(root, put):
    put("images/a.jpg", "labels/a.png labels/b.png")
    assert refusal(root).startswith(
        f"1 of 2 masks of the train part without an image, the first is {root}/labels/b.png"
    )


def test_names_are_compared_with_their_case(root, put):
    put("images/a.jpg images/B.jpg", "labels/a.png labels/b.png")
    said = refusal(root)
    assert "images/B.jpg: expected a file of the same name, in the same case" in said


def test_two_files_of_one_name(root, put):
    put("images/a.jpg images/a.png", "labels/a.png")
    assert "images/a.jpg" in refusal(root)
    assert "have the same name but for the extension" in refusal(root)


def test_two_folders_of_masks(root, put):
    put("images/a.jpg", "labels/a.png masks/a.png")
    assert "labels and masks may each be its folder of masks" in refusal(root)


def test_the_same_part_twice(root, put):
    put("images/val/a.jpg images/validation/a.jpg", "labels/val/a.png")
    assert "val, validation are twice the same part" in refusal(root)
