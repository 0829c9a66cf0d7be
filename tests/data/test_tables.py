import json
import pickle
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from foveate.data.dataset import load_data
from foveate.data.source import is_hub_name
from foveate.data.tables import read_parquet
from foveate.errors import RequestError

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def encoded(save):
    """The bytes of an 8×8 image of one colour."""

    def encoded(level):
        return save("one.png", pixels=np.full((8, 8, 3), level, np.uint8)).read_bytes()

    return encoded


@pytest.fixture
def table(tmp_path, encoded):
    """Write a parquet file of rows with an image and further columns; gives the folder."""

    def table(file, count, images=("image",), **columns):
        stored = [{"bytes": encoded(10 * i), "path": f"{i}.png"} for i in range(count)]
        path = tmp_path / "tables" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table({**dict.fromkeys(images, stored), **columns}), path)
        return tmp_path / "tables"

    return table


def with_features(root, file, features):
    """Declare features in the file's metadata, as Hugging Face datasets does."""
    path = root / file
    written = pyarrow.parquet.read_table(path)
    declared = {"huggingface": json.dumps({"info": {"features": features}})}
    pyarrow.parquet.write_table(written.replace_schema_metadata(declared), path)


def test_parts_pixels_and_names(table):
    table("data/train-00000.parquet", 4, label=[7, 3, 7, 3])
    root = table("data/test-00000.parquet", 2, label=[3, 7])
    data = load_data(str(root))
    assert (data.name, data.classes, data.channels, data.image_size) == ("tables", ("3", "7"), 3, 8)
    images, labels = data.train.__getitems__([0, 1, 3])
    assert images[:, :, 0, 0].tolist() == [[0] * 3, [10] * 3, [30] * 3]
    assert labels.tolist() == [1, 0, 0]
    assert data.test.labels.tolist() == [0, 1]


def test_declared_classes(table):
    root = table("train.parquet", 6, image_id=list(range(6)), kind=[0, 2, 1, 2, 1, 0])
    label = {"names": ["zebra", "ant", "bee"], "_type": "ClassLabel"}
    number = {"dtype": "int64", "_type": "Value"}
    with_features(root, "train.parquet", {"image": {"_type": "Image"}, "image_id": number, "kind": label})
    found = read_parquet(root, None, None)
    assert list(found.classes) == ["zebra", "ant", "bee"]
    assert found.parts["train"].labels.tolist() == [0, 2, 1, 2, 1, 0]
    assert found.parts["train"].where(1) == "tables, train part, row 1 (1.png)"


def test_text_labels(table):
    found = read_parquet(table("train.parquet", 3, label=["dog", "cat", "dog"]), None, None)
    assert list(found.classes) == ["cat", "dog"]
    assert found.parts["train"].labels.tolist() == [1, 0, 1]


def test_parts_survive_pickling(table):
    part = (
        read_parquet(table("train.parquet", 3, label=[0, 1, 1]), None, None)
        .parts["train"]
        .take(np.array([2, 0]))
    )
    again = pickle.loads(pickle.dumps(part))
    assert [again[0], again[1]] == [part[0], part[1]]
    assert again.labels.tolist() == [1, 0]


def test_unlabelled_test_part_counts_as_absent(table):
    table("train.parquet", 6, label=[0, 0, 0, 1, 1, 1])
    data = load_data(str(table("test.parquet", 2, label=[-1, -1])))
    assert data.notes[0] == data.exclusions[0] == "The test part was excluded: it has no labels."
    assert (len(data.train), len(data.test)) == (4, 2)


def test_some_labels_missing(table):
    root = table("train.parquet", 4, label=[0, 1, None, None])
    with pytest.raises(RequestError, match="2 rows of the train part have no 'label': remove them"):
        read_parquet(root, None, None)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([[0, 1], [1]], "'label' has several labels for an image"),
        ([0.5, 1.5], r"numbers to be predicted \(regr"),
    ],
    ids=["multi-label", "regression"],
)
def test_labels_that_are_no_classes_are_refused(table, labels, said):
    with pytest.raises(RequestError, match=said):
        read_parquet(table("train.parquet", 2, label=labels), None, None)


def test_usual_label_column_wins_and_says_so(table):
    root = table("train.parquet", 2, fine_label=[0, 1], coarse_label=[0, 0])
    kind = {"names": ["x", "y"], "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "fine_label": kind, "coarse_label": kind}
    with_features(root, "train.parquet", features)
    said = "Of the label columns fine_label, coarse_label, fine_label was used (--label-column)."
    assert [note.text for note in read_parquet(root, None, None).notes] == [said]
    assert read_parquet(root, None, "coarse_label").parts["train"].labels.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("images", "columns", "given", "message"),
    [
        (
            ("left", "right"),
            {"label": [0, 1]},
            (None, None),
            "no clear image column: choose one of left, right",
        ),
        (("image",), {"label": [0, 1]}, ("img", None), "no image column 'img': choose one of image"),
        ((), {"label": [0, 1]}, (None, None), "no clear image column: none of its columns holds images"),
        (("image",), {"label": [0, 1], "target": [0, 1]}, (None, None), "choose one of label, target"),
        (("image",), {"kind": [0, 1]}, (None, None), "no clear label column: choose one of kind"),
        (("image",), {"label": [0, 1]}, (None, "lable"), "no label column 'lable': choose one of label"),
        (("image",), {"score": [0.5, 1.5]}, (None, None), r"holds labels \(--label-column\).*: image, score"),
    ],
)
def test_unclear_columns(table, images, columns, given, message):
    with pytest.raises(RequestError, match=message):
        read_parquet(table("train.parquet", 2, images, **columns), *given)


def test_fingerprint_is_of_the_images_of_the_column(table, encoded):
    same = [{"bytes": encoded(10 * i), "path": f"{i}.png"} for i in range(6)]
    other = [{"bytes": encoded(10 * i + 1), "path": f"{i}.png"} for i in range(6)]
    root = str(table("train.parquet", 6, ("left",), copy=same, right=other, label=[0, 1] * 3))
    left, copy, right = (load_data(root, image_column=name).fingerprint for name in ("left", "copy", "right"))
    assert left == copy
    assert left != right


def test_broken_row_is_named(tmp_path, encoded):
    stored = [{"bytes": encoded(i), "path": None} for i in range(5)] + [
        {"bytes": b"junk", "path": "f.png"},
        None,
    ]
    path = tmp_path / "broken"
    path.mkdir()
    columns = {"image": stored, "label": [0, 1, 0, 1, 0, 1, 0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path / "train.parquet")
    with pytest.raises(RequestError) as error:
        load_data(str(path))
    assert "2 broken images" in str(error.value)
    assert "row 5 (f.png): it is not an image of a known format" in str(error.value)
    assert "row 6: it is empty" in str(error.value)


def test_damaged_parquet_file(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"no table")
    with pytest.raises(RequestError, match="its parquet files cannot be read"):
        load_data(str(tmp_path))


def test_hub_names():
    assert is_hub_name("uoft-cs/cifar10")
    assert is_hub_name("owner/name.v2:config-a")
    assert not any(is_hub_name(name) for name in ("cifar10", "../cifar10", "./a/b", "a/b/c", "/a/b", "a/b:"))


def test_hub_out_of_reach():
    with pytest.raises(
        RequestError, match=r"'nobody/nothing' is neither a folder nor a set that .* hub provides"
    ):
        load_data("nobody/nothing")


def test_reading_is_quiet_when_not_on_a_terminal(table, capfd):
    load_data(str(table("train.parquet", 6, label=[0, 1] * 3)))
    assert capfd.readouterr() == ("", "")


@pytest.mark.full  # a process that imports everything
def test_a_program_is_quiet_when_not_on_a_terminal(table, tmp_path):
    root = table("train.parquet", 6, label=[0, 1] * 3)
    script = f"from foveate.data import load_data; load_data({str(root)!r})"
    environment = {"HF_HOME": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_folder_and_parquet_give_the_same_pixels(table, encoded, tmp_path):
    root = table("train.parquet", 6, label=[0, 0, 0, 1, 1, 1])
    for i in range(6):
        path = tmp_path / "files" / str(i // 3) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(10 * i))
    one, other = load_data(str(root)), load_data(str(tmp_path / "files"))
    assert one.classes == other.classes
    for store, twin in ((one.train, other.train), (one.test, other.test)):
        assert torch.equal(store.__getitems__(range(len(store)))[0], twin.__getitems__(range(len(twin)))[0])
