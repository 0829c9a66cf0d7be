"""Class names that cannot be printed, or that are spelled in two ways."""

import os

import numpy as np
import pytest

from foveate.data.dataset import load_data
from foveate.errors import RequestError

ONE, TWO = "caf\xe9", "cafe\u0301"


def test_control_characters_are_written_out_where_names_are_read(folder):
    root = folder(
        {"train/a\x1b[31m": 4, "train/b\u2028\ufffe": 4, "test/a\x1b[31m": 2, "test/b\u2028\ufffe": 2}
    )
    data = load_data(str(root))
    assert data.classes == ("a\\x1b[31m", "b\\u2028\\ufffe")
    assert data.notes[0].startswith("2 of 2 class names had characters that cannot be printed")
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4


def test_parts_may_spell_a_class_in_two_ways(folder):
    root = folder({f"train/{ONE}": 4, "train/bar": 4, f"test/{TWO}": 2, "test/bar": 3})
    data = load_data(str(root))
    assert data.classes == ("bar", ONE)
    assert np.bincount(data.train.labels).tolist() == [4, 4]
    assert np.bincount(data.test.labels).tolist() == [3, 2]


def test_two_spellings_in_one_part_are_refused(folder):
    root = folder({ONE: 4, TWO: 4, "bar": 4})
    with pytest.raises(RequestError, match=r"look the same, 'cafe\\u0301' and 'caf\\xe9': merge or rename"):
        load_data(str(root))


def test_names_in_one_spelling_change_neither_classes_nor_fingerprint(folder, monkeypatch):
    root = folder({"b": 4, ONE: 4})
    data = load_data(str(root))
    assert data.classes == ("b", ONE)
    monkeypatch.setattr("foveate.data.dataset.unite_class_names", lambda source: source)
    assert load_data(str(root)).fingerprint == data.fingerprint


def test_names_that_are_no_unicode_are_read(folder):
    root = folder({"a": 5, "b": 5})
    (root / "a" / "0.png").rename(root / "a" / os.fsdecode(b"caf\xe9.png"))
    (root / "a" / "1.png").write_bytes(b"")
    with pytest.raises(RequestError, match="1.png: it is empty"):
        load_data(str(root))
    (root / "a").rename(root / os.fsdecode(b"\xe9"))
    data = load_data(str(root), skip_broken=True)
    assert data.classes == ("b", "\\udce9")
    assert all(note.isprintable() for note in data.notes)
