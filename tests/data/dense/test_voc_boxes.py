"""Boxes in Pascal VOC's format: coordinates that count from 1, lists of parts, and files that are wrong."""

import pytest

from foveate.data.dense.boxes import find_boxes, read_boxes
from foveate.errors import RequestError


def thing(name, xmin, ymin, xmax, ymax, more=""):
    box = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox>{part}</object>"


def described(*objects, name="", size=(40, 30)):
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{sides}{''.join(objects)}</annotation>"


@pytest.fixture
def voc(save, tmp_path):
    """Write XML files, and an image of 40×30 pixels for each."""

    def voc(files, folder="Annotations", images="JPEGImages", lists=None):
        for name, text in files.items():
            save(f"{images}/{name}.jpg", size=(40, 30))
            path = tmp_path / folder / f"{name}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for name, lines in (lists or {}).items():
            path = tmp_path / "ImageSets" / "Main" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines))
        return tmp_path

    return voc


DOG = described(thing("dog", 1, 1, 40, 30))


def test_coordinates_count_from_1_and_include_both_ends(voc):
    root = voc(
        {
            "b": described(
                thing("dog", 1, 1, 40, 30, "<difficult>0</difficult>"),
                thing("cat", "11.0", 6, 20.5, 6, "<difficult>1</difficult>"),
            ),
            "a": described(),
        }
    )
    assert find_boxes(root) == "voc"
    found = read_boxes(root)
    assert (found.classes, found.categories) == (("cat", "dog"), (1, 2))
    train = found.parts["train"]
    assert [path.name for path in train.images] == ["a.jpg", "b.jpg"]
    assert train.ids == (1, 2)
    assert [len(one) for one in train.boxes] == [0, 2]
    boxes = train.boxes[1]
    assert boxes.boxes.tolist() == [[0, 0, 40, 30], [10, 5, 20.5, 6]]
    assert boxes.labels.tolist() == [1, 0]
    assert boxes.areas.tolist() == [1200, 10.5]
    assert boxes.crowd.tolist() == [False, True]


def layout(root):
    return {role: [path.stem for path in part.images] for role, part in read_boxes(root).parts.items()}


@pytest.mark.parametrize(
    ("lists", "parts"),
    [
        ({"train": "ab", "val": "c", "test": "d"}, {"train": "ab", "validation": "c", "test": "d"}),
        ({"train": "ab", "val": "c", "trainval": "abc"}, {"train": "ab", "validation": "c"}),
        ({"trainval": "abc", "val": "c", "test": "d"}, {"train": "abc", "test": "d"}),
        ({"train": ["a  1", "b -1"], "val": "c"}, {"train": "ab", "validation": "c"}),
        ({"train": "ab", "val": "c", "test": ["x", "y"]}, {"train": "ab", "validation": "c"}),
        ({"dog_train": "ab"}, {"train": "abcd"}),
    ],
)
def test_lists_of_parts(voc, lists, parts):
    root = voc(dict.fromkeys("abcd", DOG), lists=lists)
    assert layout(root) == {role: list(names) for role, names in parts.items()}


def test_a_test_list_without_annotations_is_excluded_by_name(voc):
    root = voc(dict.fromkeys("abc", DOG), lists={"train": "ab", "val": "c", "test": "xyz"})
    (note,) = read_boxes(root).notes
    assert note.is_exclusion
    assert note.text == "The images of ImageSets/Main/test.txt have no annotations and were excluded (3)."


def test_folders_of_parts_with_xml_beside_the_images(voc):
    for part, names in (("train", "ab"), ("valid", "c"), ("test", "d")):
        root = voc(dict.fromkeys(names, DOG), folder=part, images=part)
    assert find_boxes(root) == "voc"
    assert layout(root) == {"test": ["d"], "train": ["a", "b"], "validation": ["c"]}


def test_small_letters_and_a_folder_called_images(voc):
    root = voc(dict.fromkeys("ab", DOG), folder="annotations", images="images")
    assert layout(root) == {"train": ["a", "b"]}


def test_an_image_with_another_name_is_the_one_that_the_file_names(voc, save):
    root = voc({"a": DOG, "b": described(thing("dog", 1, 1, 4, 4), name="x\\pictures\\cat 5.png")})
    (root / "JPEGImages/b.jpg").unlink()
    save("JPEGImages/cat 5.png", size=(40, 30))
    assert layout(root) == {"train": ["a", "cat 5"]}


def test_of_two_images_the_named_one_is_taken(voc, save):
    root = voc({"a": DOG, "b": described(thing("dog", 1, 1, 4, 4), name="b.png")})
    save("JPEGImages/b.png", size=(40, 30))
    assert [path.name for path in read_boxes(root).parts["train"].images] == ["a.jpg", "b.png"]
    (note,) = read_boxes(root).notes
    assert note.text == "Images without an XML file, or in no list, were excluded (1): b.jpg."
    save("JPEGImages/a.png", size=(40, 30))
    with pytest.raises(RequestError, match=r"a.jpg, a.png have the same name but for the ending"):
        read_boxes(root)


def test_a_size_of_0_is_not_stated(voc):
    root = voc({"a": described(thing("dog", 1, 1, 4, 4), size=(0, 0)), "b": DOG})
    assert layout(root) == {"train": ["a", "b"]}


BOMB = '<!DOCTYPE a [<!ENTITY x "xx">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>\n<object></annotation>", "Annotations/b.xml is not XML: mismatched tag: line 2"),
        (BOMB, "Annotations/b.xml has a DOCTYPE"),
        (BOMB.encode("utf-16"), "Annotations/b.xml has a DOCTYPE"),
        (described(thing("dog", 1, 1, 4, 4), thing(" ", 1, 1, 4, 4)), "b.xml, object 2 has no name"),
        (described(thing("dog", 1, "x", 4, 4)), "b.xml, object 1: its bndbox has xmin 1, ymin x, xmax 4"),
        (described("<object><name>dog</name></object>"), "object 1: its bndbox has xmin None"),
        (described(thing("dog", 1, 1, 4, 4), size=(30, 40)), "says that b.jpg has 30×40 .* file has 40×30"),
        ("<annotation>" + " " * (1 << 24), "b.xml has more than 16,777,216 bytes"),
    ],
)
def test_wrong_files_are_refused(voc, text, message):
    with pytest.raises(RequestError, match=message):
        read_boxes(voc({"a": DOG, "b": text}))


def test_normalised_coordinates_are_refused(voc):
    part = described(thing("dog", 0.1, 0.2, 0.5, 0.75))
    with pytest.raises(
        RequestError, match="Annotations lie in 0..1: they are normalised, and Pascal VOC has"
    ):
        read_boxes(voc({"a": part, "b": part}))


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"train": "abx", "val": "c"},
            "train.txt lists 1 of 3 images that have no XML file in Annotations: x",
        ),
        ({"train": "ab", "val": ""}, "ImageSets/Main/val.txt lists no images"),
        (
            {"train": "ab", "val": "bc"},
            "b.jpg is listed twice, in ImageSets/Main/train.txt and ImageSets/Main/v",
        ),
        (
            {"train": "ab", "val": "c", "valid": "c"},
            "val.txt and valid.txt in ImageSets/Main are both its valid",
        ),
    ],
)
def test_wrong_lists_are_refused(voc, lists, message):
    with pytest.raises(RequestError, match=message):
        read_boxes(voc(dict.fromkeys("abc", DOG), lists=lists))


def test_two_folders_for_a_part_are_refused(voc):
    voc({"a": DOG}, folder="val", images="val")
    root = voc({"b": DOG}, folder="valid", images="valid")
    with pytest.raises(RequestError, match="val and valid are both its validation part"):
        read_boxes(root)


def test_missing_images_are_named(voc):
    root = voc(dict.fromkeys("abc", DOG))
    (root / "JPEGImages/b.jpg").unlink()
    with pytest.raises(RequestError, match=r"lists 1 of 3 images that are not there: b\. .* in JPEGImages"):
        read_boxes(root)
