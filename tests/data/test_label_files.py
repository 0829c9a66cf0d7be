"""Images whose labels are in CSV files, as people have them."""

from pathlib import Path

import pytest

from foveate.data.dataset import load_data
from foveate.data.folder import held_out_images, read_folder
from foveate.errors import RequestError


def write(root: Path, name: str, *lines: str, encoding: str = "utf-8") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return root


def labelled(root: Path, **options: str) -> dict[str, dict[str, str]]:
    """The class of each image by part and name."""
    found = read_folder(root, **options)
    return {
        role: {
            str(Path(part.where(i)).relative_to(root)): found.classes[part.labels[i]]
            for i in range(len(part))
        }
        for role, part in found.parts.items()
    }


def test_kaggles_layout_names_images_without_extension(save, tmp_path):
    for name in ("train/a1.jpg", "train/b2.jpg", "test/c3.jpg"):
        save(name)
    write(tmp_path, "labels.csv", "id,breed", "a1,collie", "b2,beagle")
    write(tmp_path, "sample_submission.csv", "id,beagle,collie", "c3,0.5,0.5")
    assert labelled(tmp_path) == {"train": {"train/a1.jpg": "collie", "train/b2.jpg": "beagle"}}
    said = [note.text for note in read_folder(tmp_path).notes]
    assert "The labels are those of labels.csv (column breed)." in said
    assert "Images that labels.csv does not list were excluded: 1." in said


def test_hugging_faces_layout_has_a_file_in_each_part(save, tmp_path):
    for part in ("train", "test"):
        for name in ("0.png", "1.png"):
            save(f"{part}/{name}")
        write(tmp_path, f"{part}/metadata.csv", "file_name,label", "0.png,cat", "1.png,dog")
    assert labelled(tmp_path) == {
        part: {f"{part}/0.png": "cat", f"{part}/1.png": "dog"} for part in ("train", "test")
    }
    assert held_out_images(tmp_path) == ["test/0.png", "test/1.png"]


def test_a_file_per_part(save, tmp_path):
    for name in ("images/0.png", "images/1.png", "images/2.png"):
        save(name)
    write(tmp_path, "train_labels.csv", "image,class", "0.png,x", "1.png,y")
    write(tmp_path, "val_labels.csv", "image,class", "2.png,y")
    assert labelled(tmp_path) == {
        "train": {"images/0.png": "x", "images/1.png": "y"},
        "validation": {"images/2.png": "y"},
    }


def test_a_column_of_parts_semicolons_and_a_byte_order_mark(save, tmp_path):
    for index in range(4):
        save(f"{index}.png")
    lines = "path;label;split", "0.png;9;train", "1.png;10;train", "2.png;9;test", "3.png;10;valid"
    write(tmp_path, "data.csv", *lines, encoding="utf-8-sig")
    assert labelled(tmp_path) == {
        "train": {"0.png": "9", "1.png": "10"},
        "test": {"2.png": "9"},
        "validation": {"3.png": "10"},
    }
    assert list(read_folder(tmp_path).classes) == ["9", "10"]  # in the order of numbers


def test_one_column_for_each_class(save, tmp_path):
    for index in range(3):
        save(f"{index}.png")
    write(tmp_path, "labels.csv", "image_id,healthy,rust", "0,1,0", "1,0,1", "2,0,1")
    assert labelled(tmp_path) == {"train": {"0.png": "healthy", "1.png": "rust", "2.png": "rust"}}


def test_a_whole_set_is_loaded(save, tmp_path):
    rows = [(f"im/{index}.png", ("low", "high")[index % 2]) for index in range(12)]
    for name, _ in rows:
        save(name)
    write(tmp_path, "labels.csv", "path,label", *(f"{name},{label}" for name, label in rows))
    data = load_data(str(tmp_path), image_size=8)
    assert data.classes == ("high", "low")
    assert len(data.train) + len(data.test) == 12


def test_of_several_columns_one_is_named_by_flag(save, tmp_path):
    save("0.png")
    save("1.png")
    write(tmp_path, "labels.csv", "path,colour,form", "0.png,red,round", "1.png,blue,flat")
    with pytest.raises(RequestError, match="which of its columns colour, form .*--label-column"):
        read_folder(tmp_path)
    assert labelled(tmp_path, label_column="form") == {"train": {"0.png": "round", "1.png": "flat"}}
    with pytest.raises(RequestError, match="has no label column 'size': it has path, colour, form"):
        read_folder(tmp_path, label_column="size")


def test_folders_that_say_the_same_are_read_as_folders(folder):
    root = folder({"cat": 2, "dog": 2})
    found = read_folder(root)
    write(root, "labels.csv", "path,label", *(f"{c}/{i}.png,{c}" for c in ("cat", "dog") for i in (0, 1)))
    again = read_folder(root)
    assert (again.identity, list(again.classes)) == (found.identity, list(found.classes))
    assert not any("labels.csv" in note.text for note in again.notes)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["path,label", "0.png,a", "1.png,b", "2.png,a", "9.png,b"], "lists 1 of 4 images that are"),
        (
            ["path,label", "0.png,cat", "1.png,dog", "1.png,cat"],
            "1 image listed more than once, 1.png as 'dog'",
        ),
        (["path,label", "0.png,cat", "1.png,"], "rows without 'label': 1."),
        (["path,tags", "0.png,cat|dog", "1.png,dog", "2.png,cat"], "several labels for an image ('cat|dog')"),
        (["path,tags", "0.png,clear primary", "1.png,clear water", "2.png,primary water"], "several labels"),
        (["path,cat,dog", "0.png,1,0", "1.png,1,1"], "image 2 has several labels (cat, dog)"),
        (["path,cat,dog", "0.png,0,0", "1.png,0,1"], "image 1 has no label"),
        (["path,age", "0.png,1.5", "1.png,2.25", "2.png,3.75"], "3 different numbers, as if"),
    ],
    ids=["missing", "twice", "empty", "tags", "words", "hot", "cold", "regression"],
)
def test_what_is_no_class_for_each_image_is_refused(save, tmp_path, lines, said):
    for index in range(3):
        save(f"{index}.png")
    write(tmp_path, "labels.csv", *lines)
    with pytest.raises(RequestError) as refused:
        read_folder(tmp_path)
    assert said in str(refused.value)


def test_an_image_of_the_same_name_in_two_folders(save, tmp_path):
    for name in ("train/1.png", "test/1.png", "train/2.png"):
        save(name)
    write(tmp_path, "train.csv", "id,label", "1,x", "2,y")
    assert labelled(tmp_path) == {"train": {"train/1.png": "x", "train/2.png": "y"}}
    save("a/3.png")
    save("b/3.png")
    write(tmp_path, "train.csv", "id,label", "1,x", "3,y")
    with pytest.raises(RequestError, match=r"'3' may be a/3.png, b/3.png: write its path"):
        read_folder(tmp_path)


CLASSES = {"cat": 3, "dog": 3}


@pytest.mark.parametrize(
    "files",
    [
        {"author.csv": ["image,author", "0.png,anna", "1.png,bob"]},
        {"log.csv": ["epoch,loss,accuracy", "0,1.5,0.3", "1,1.2,0.5"]},
        {"classes.csv": ["id,name", "0,cat", "1,dog"]},
        {"boxes.csv": ["filename,xmin,ymin", "cat/0.png,1,2", "cat/1.png,1,2"]},
        {"cat/captions.csv": ["file,caption", "0.png,a cat", "1.png,two cats"]},
        {"list.csv": ["only", "one"]},
    ],
    ids=lambda files: next(iter(files)),
)
def test_class_folders_stay_what_they_are_beside_files_of_something_else(folder, files):
    root = folder(CLASSES)
    before = read_folder(root)
    for name, lines in files.items():
        write(root, name, *lines)
    after = read_folder(root)
    assert (after.identity, list(after.classes), list(after.parts)) == (
        before.identity,
        ["cat", "dog"],
        ["train"],
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["path,label", "cat/0.png,tom", "cat/9.png,tom"], "lists 1 of 2 images that are not there"),
        (["path,label", "cat/0.png,tom", "dog/0.png,rex"], "list 2 of 6 images alone"),
        (["path,class", "cat/0.png,cat", "cat/0.png,dog"], "1 image listed more than once"),
    ],
    ids=["gone", "few", "boxes"],
)
def test_class_folders_are_read_where_labels_cannot_be_and_that_is_said(folder, lines, said):
    root = folder(CLASSES)
    write(root, "labels.csv", *lines)
    found = read_folder(root)
    assert list(found.classes) == ["cat", "dog"]
    assert any(said in note.text and note.is_exclusion for note in found.notes)


def test_labels_that_say_something_else_than_the_folders_are_read(folder):
    root = folder(CLASSES)
    rows = [f"{name}/{i}.png,{'old' if i else 'young'}" for name in CLASSES for i in range(3)]
    write(root, "labels.csv", "path,label", *rows)
    found = read_folder(root)
    assert list(found.classes) == ["old", "young"]
    assert "Those files were read, and not the class folders" in " ".join(note.text for note in found.notes)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"labels.csv": ["path,label,split", "0.png,a,train", "1.png,b,unused"]},
            "has 'unused' beside the names",
        ),
        (
            {"labels.csv": ["path,label", "test/0.png,a", "1.png,b"]},
            "lists 1 of 2 images that are not there: test/0",
        ),
        (
            {"labels.csv": ["path,label", "0.jpg,a", "1.jpg,b"]},
            "lists 2 of 2 images that are not there: 0.jpg",
        ),
        ({"labels.csv": ["0.png,a", "1.png,b"]}, "begins with a row of values (0.png, a)"),
        (
            {"labels.csv": ["name,label", "IMG,a", "IMG2,b"]},
            "none of its columns names images (name 'IMG', label 'a')",
        ),
        (
            {"a.csv": ["id,x", "0,p", "1,q"], "b.csv": ["id,y", "0,r", "1,s"]},
            "in different columns (a.csv: x, b.csv: y)",
        ),
    ],
    ids=["split", "folder", "extension", "header", "names", "columns"],
)
def test_what_is_not_there_or_not_clear_is_refused(save, tmp_path, files, said):
    for index in range(3):
        save(f"{index}.png")
    for name, lines in files.items():
        write(tmp_path, name, *lines)
    with pytest.raises(RequestError) as refused:
        read_folder(tmp_path)
    assert said in str(refused.value)


def test_the_label_column_of_one_file_is_that_of_all(save, tmp_path):
    for name in ("train/0.png", "train/1.png", "test/2.png"):
        save(name)
    write(tmp_path, "train.csv", "id,label", "0,x", "1,y", "1,y")  # a row twice is one
    write(tmp_path, "test.csv", ",id,width", "0,2,64,extra")
    assert labelled(tmp_path) == {"train": {"train/0.png": "x", "train/1.png": "y"}}


def test_the_column_that_names_images_best_is_taken(save, tmp_path):
    for index in range(3):
        save(f"{index}.png")
    write(tmp_path, "labels.csv", "digit,picture", "0,1.png", "1,2.png", "1,0.png")
    assert labelled(tmp_path) == {"train": {"1.png": "0", "2.png": "1", "0.png": "1"}}
