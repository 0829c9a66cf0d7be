import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.data.digits import ArrayImages
from foveate.data.notes import Note
from foveate.data.parts import Part, Source, arrange, role_of, stratified_split
from foveate.errors import RequestError


def source(classes=("a", "b"), **labels):
    parts = {
        role: Part(
            ArrayImages(np.zeros((len(of), 2, 2), np.uint8)), np.arange(len(of)), np.array(of, np.int64)
        )
        for role, of in labels.items()
    }
    return Source("toy", parts, classes, "identity", [Note("found.")])


def test_roles():
    assert [role_of(name) for name in ("Train", "training", "TEST", "testing")] == ["train"] * 2 + [
        "test"
    ] * 2
    assert {role_of(name) for name in ("val", "valid", "validation", "dev")} == {"validation"}
    assert role_of("cats") is None


def test_own_parts_are_used():
    arranged = arrange(source(train=[0, 1], test=[0, 1, 1], validation=[1]), 0.2)
    assert [len(part) for part in (arranged.train, arranged.test, arranged.validation)] == [2, 3, 1]
    assert arranged.notes == [Note("found.")]


def test_validation_serves_as_test():
    arranged = arrange(source(train=[0, 0, 1, 1], validation=[0, 1, 1]), 0.2)
    assert len(arranged.test) == 3
    assert arranged.validation is None
    assert "validation part is held out as the test part" in arranged.notes[-1].text


@pytest.mark.parametrize("role", ["train", "test", "everything"])
def test_single_part_is_split(role):
    labels = [0] * 10 + [1] * 20
    arranged = arrange(source(**{role: labels}), 0.2)
    assert np.bincount(arranged.test.labels).tolist() == [2, 4]
    assert np.bincount(arranged.train.labels).tolist() == [8, 16]
    assert not set(arranged.train.rows) & set(arranged.test.rows)
    assert np.array_equal(arranged.test.rows, arrange(source(**{role: labels}), 0.2).test.rows)
    assert "6 of its 30 images are held out as one" in arranged.notes[-1].text


def test_declared_classes_without_images_are_left_out():
    arranged = arrange(source("abcd", train=[1, 1, 3, 3], test=[3]), 0.2)
    assert arranged.classes == ("b", "d")
    assert arranged.train.labels.tolist() == [0, 0, 1, 1]
    assert arranged.test.labels.tolist() == [1]
    assert arranged.notes[1] == Note("Classes without any image were excluded: a, c.", is_exclusion=True)


def test_classes_without_test_images_are_named():
    arranged = arrange(source("abc", train=[0, 0, 1, 1, 2, 2], test=[1]), 0.2)
    said = "Classes without test images, whose accuracy is unknown: a, c."
    assert arranged.notes[-1] == Note(said)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"train": [0, 0, 0]}, "toy has one class, 'a': classifying needs at least two"),
        (
            {"train": [0, 0], "test": [0, 1]},
            "only the test part has images of 'b': add some to the training",
        ),
        ({"train": [0, 0, 1], "test": [0, 1]}, r"split: 'b' \(1\); each class needs at least 2"),
        ({"train": [0, 0, 0, 1, 1]}, r"split: 'b' \(2\); each class needs at least 3"),
        (
            {"test": [0, 1], "validation": [0, 1]},
            "parts test, validation but no training part: call one train or",
        ),
    ],
)
def test_what_cannot_be_arranged(labels, message):
    with pytest.raises(RequestError, match=message):
        arrange(source(**labels), 0.2)


@given(st.lists(st.integers(2, 40), min_size=1, max_size=5), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_split_is_stratified_and_decided_by_the_seed(counts, fraction, seed):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    kept, held = stratified_split(labels, fraction, seed)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    for label, count in enumerate(counts):
        of_class = int((labels[held] == label).sum())
        assert 1 <= of_class <= count - 1
        assert abs(of_class - fraction * count) <= 1
    again = stratified_split(labels, fraction, seed)
    assert np.array_equal(kept, again[0])
    assert np.array_equal(held, again[1])


def test_other_seed_other_split():
    labels = np.repeat([0, 1], 50)
    assert not np.array_equal(stratified_split(labels, 0.2, 0)[1], stratified_split(labels, 0.2, 1)[1])


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2])
def test_fraction_out_of_range(fraction):
    with pytest.raises(RequestError, match="between 0 and 1"):
        stratified_split(np.array([0, 0]), fraction, 0)


def test_single_image_cannot_be_split():
    with pytest.raises(RequestError, match="class number 1 has a single image"):
        stratified_split(np.array([0, 0, 1]), 0.5, 0)
