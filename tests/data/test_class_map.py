import json
from pathlib import Path

import pytest

from foveate.data.class_map import Match, match_classes, read_class_map, read_class_names
from foveate.errors import RequestError

CIFAR = ("airplane", "automobile", "bird", "cat", "truck")
TINY = ("convertible", "goose", "king_penguin", "moving_van", "nail")


def written(folder: Path, text: str) -> Path:
    path = folder / "classes.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_match_but_for_case_underscores_hyphens_and_spaces() -> None:
    found = match_classes(["Moving_Van", "ice-cream", "nail"], ["ice cream", "moving  van", "dog"])
    assert found.matches == (
        Match(("Moving_Van",), ("moving  van",)),
        Match(("ice-cream",), ("ice cream",)),
    )
    assert found.unmatched_target == ("nail",)
    assert found.unmatched_source == ("dog",)
    assert found.unmatched == "classes without a match: 1 of the target (nail) and 1 of the source (dog)."


def test_equal_sets_leave_nothing_out() -> None:
    found = match_classes(CIFAR, CIFAR)
    assert len(found.matches) == 5
    assert found.unmatched == ""


def test_no_common_name_says_what_to_do() -> None:
    with pytest.raises(RequestError, match=r"convertible, .* --classes FILE, .* probe or finetune"):
        match_classes(TINY, CIFAR)


def test_a_file_maps_and_classes_that_meet_are_one(tmp_path: Path) -> None:
    text = "convertible: automobile\ngoose: bird\nking penguin: Bird\nmoving_van: truck\n"
    found = read_class_map(written(tmp_path, text), TINY, CIFAR)
    assert [match.name for match in found.matches] == ["convertible", "goose / king_penguin", "moving_van"]
    assert found.matches[1] == Match(("goose", "king_penguin"), ("bird",))
    assert found.unmatched_target == ("nail",)
    assert found.unmatched_source == ("airplane", "cat")


def test_several_source_classes_for_one_and_chains_of_them(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps({"bird": ["goose", "king_penguin"], "cat": ["king_penguin", "nail"]}))
    found = read_class_map(path, CIFAR, TINY)
    assert found.matches == (Match(("bird", "cat"), ("goose", "king_penguin", "nail")),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("convertable: automobile", "unknown class of the target 'convertable'. Did you mean 'convertible'"),
        ("convertible: automobil", "unknown class of the source 'automobil'. Did you mean 'automobile'"),
        ("- convertible", "expected a mapping of target classes to source classes, found a list"),
        ("convertible: {a: b}", "expected the name of a class, or a list"),
        ("convertible: [", "is not YAML"),
        ("", "maps no class"),
    ],
)
def test_bad_files_are_refused_by_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RequestError, match=r"classes\.yaml") as caught:
        read_class_map(written(tmp_path, text), TINY, CIFAR)
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot read"):
        read_class_map(tmp_path / "none.yaml", TINY, CIFAR)


def test_other_names_of_classes(tmp_path: Path) -> None:
    names = read_class_names(written(tmp_path, "{3: cat, n01: Bird, n02: cat}"), ["3", "n01", "n02"], CIFAR)
    assert names == {"3": "cat", "n01": "bird", "n02": "cat"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4: cat", "unknown label or class folder of the prepared set '4'"),
        ("3: catt", "unknown class of the networks 'catt'. Did you mean 'cat'"),
        ("3: true", "unknown class of the networks 'true'"),  # names are read as text
        ("3: [cat]", "expected the name of one class, got ['cat']"),
        ("", "maps nothing"),
    ],
)
def test_other_names_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RequestError, match=r"classes\.yaml") as caught:
        read_class_names(written(tmp_path, text), ["3", "n01"], CIFAR)
    assert said in str(caught.value)


def test_numbers_as_names_are_read_as_text(tmp_path: Path) -> None:
    found = read_class_map(written(tmp_path, "3: 1\n"), ["3", "4"], ["0", "1"])
    assert found.matches == (Match(("3",), ("1",)),)


def test_names_that_yaml_takes_for_something_else_are_names(tmp_path: Path) -> None:
    path = written(tmp_path, "no: 007\n7: [on, 1e3]\n")
    found = read_class_map(path, ["no", "7"], ["007", "on", "1e3", "7"])
    assert found.matches == (Match(("no",), ("007",)), Match(("7",), ("on", "1e3")))
