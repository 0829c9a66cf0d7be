import pytest

from foveate.evaluation.guessing import Guessing, guessing
from foveate.records.run import ClassScores


def scores(**supports: int) -> list[ClassScores]:
    return [
        ClassScores(name=name, accuracy=0.5, precision=0.5, recall=0.5, f1=0.5, support=support)
        for name, support in supports.items()
    ]


def test_guessing_names_the_most_frequent_class_of_the_test_part() -> None:
    assert guessing(scores(ants=70, bees=83)) == Guessing(0.5, 83 / 153, "bees", 153)
    found = guessing(scores(ants=30, bees=30, wasps=0))
    assert found is not None
    assert (found.majority_class, found.chance, found.best) == ("ants", 1 / 3, 0.5)
    assert guessing(scores(ants=0)) is None


def test_an_accuracy_is_above_chance_if_guesses_would_seldom_be_as_right() -> None:
    coin = Guessing(0.5, 0.5, "heads", 10)
    # Of 10 throws, P(at least 8 heads) = 56/1024 = 5.5 %, P(at least 9) = 11/1024 = 1.1 %.
    assert not coin.is_beaten_by(0.8)
    assert coin.is_beaten_by(0.9)
    assert not coin.is_beaten_by(0.0)


@pytest.mark.parametrize("images", [100, 10_000])
def test_more_images_tell_a_smaller_lead_from_chance(images: int) -> None:
    assert Guessing(0.1, 0.1, "cat", images).is_beaten_by(0.12) == (images == 10_000)


def test_always_answering_one_class_is_not_above_chance() -> None:
    assert not Guessing(0.1, 0.4, "cat", 500).is_beaten_by(0.4)
