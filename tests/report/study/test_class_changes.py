import numpy as np
import pytest
from scipy import stats

from foveate.records.metric import CLASSIFICATION
from foveate.records.run import ClassScores
from foveate.report.core.files import as_markdown, as_svg
from foveate.report.study.class_changes import (
    class_changes,
    class_changes_sentences,
    class_changes_table,
    untested_classes,
)
from foveate.report.study.class_charts import class_changes_figure

METRIC = CLASSIFICATION.of_class
CLASSES = ["cat", "dog", "<b>ship</b>"]

PerClass = dict[str, dict[int, list[ClassScores]]]


def scores(name: str, accuracy: float | None, support: int = 50) -> ClassScores:
    return ClassScores(
        name=name, accuracy=accuracy, precision=accuracy, recall=accuracy, f1=accuracy, support=support
    )


def study(changes: dict[str, list[float]], seeds: int = 4, noise: float = 0.002, classes=CLASSES) -> PerClass:
    """Accuracies by label, seed and class: 0.8, a level by seed, the mechanism's change, some noise."""
    random = np.random.default_rng(0)
    levels = random.normal(0, 0.02, seeds)
    every = {"none": [0.0] * len(classes)} | changes
    return {
        label: {
            seed: [
                scores(name, 0.8 + levels[seed] + change + random.normal(0, noise))
                for name, change in zip(classes, of_label, strict=True)
            ]
            for seed in range(seeds)
        }
        for label, of_label in every.items()
    }


@pytest.fixture(scope="module")
def given() -> PerClass:
    """Of three classes SE gains on the first and loses on the last; nobody may change it."""
    return study({"se": [0.05, 0.0, -0.05], "ca": [0.0, 0.0, 0.0]})


@pytest.fixture(scope="module")
def changes(given):
    return class_changes(given, CLASSES, METRIC)


def test_changes_are_paired_by_seed_and_their_intervals_hold_together(given, changes):
    assert [(change.attention, change.name) for change in changes] == [
        (label, name) for label in ("se", "ca") for name in CLASSES
    ]
    first = changes[0]
    pairs = [[given[label][seed][0].accuracy for seed in range(4)] for label in ("none", "se")]
    low, high = stats.ttest_rel(*pairs[::-1]).confidence_interval(1 - 0.05 / 6)
    assert (first.low, first.high) == pytest.approx((low, high))
    assert first.difference == pytest.approx(first.score - first.baseline)
    assert [change.is_significant for change in changes] == [True, False, True, False, False, False]
    assert {change.family for change in changes} == {6}


def test_a_change_has_the_keys_in_json_that_it_had(changes):
    assert list(changes[0].to_json()) == [
        *("attention", "class", "plain", "accuracy", "difference", "low", "high", "p_adjusted", "n"),
        *("family", "shown"),
    ]
    assert [change.to_json()["shown"] for change in changes] == [change.is_significant for change in changes]


def test_sentences_name_who_gains_and_who_loses(changes):
    first, gains, loses = class_changes_sentences(changes)
    assert first == (
        "Of 6 changes (2 mechanisms by 3 classes) 2 are shown, by intervals that are adjusted for "
        "their number."
    )
    assert gains.startswith("se gains on cat (+")
    assert loses.startswith("se loses on <b>ship</b> (−")


def test_no_significant_change_is_not_said_to_be_no_change():
    (sentence,) = class_changes_sentences(
        class_changes(study({"se": [0.001, 0.0, 0.0]}, noise=0.03), CLASSES, METRIC)
    )
    assert sentence.startswith("No class's change is shown: of 3 changes")
    assert "That does not mean that there is none: with 4 seeds half of the intervals reach" in sentence


def test_chance_alone_is_seldom_significant():
    classes = [str(number) for number in range(20)]
    given = study({label: [0.0] * 20 for label in ("se", "ca", "eca")}, noise=0.02, classes=classes)
    assert not any(change.is_significant for change in class_changes(given, classes, METRIC))


def test_one_seed_has_no_interval():
    changes = class_changes(study({"se": [0.05, 0.0, -0.05]}, seeds=1), CLASSES, METRIC)
    assert all(change.low is None and not change.is_significant for change in changes)
    assert class_changes_sentences(changes)[0].startswith("With one seed nobody can tell")
    assert class_changes_figure(changes, METRIC) is not None
    assert "–" not in as_markdown(class_changes_table(changes, METRIC))


def test_without_the_baseline_or_with_it_alone_there_is_no_change(given):
    for poor in ({"none": given["none"]}, {"se": given["se"]}, {"none": {}, "se": given["se"]}):
        assert class_changes(poor, CLASSES, METRIC) == []
    assert class_changes_sentences([]) == []
    assert class_changes_table([], METRIC) is None
    assert class_changes_figure([], METRIC) is None


def test_a_task_without_classes_has_no_change():
    assert class_changes({"none": {0: []}, "se": {0: []}}, CLASSES, METRIC) == []


def test_seeds_that_only_one_has_do_not_count(given, changes):
    more = given["se"] | {9: [scores(name, 0.0) for name in CLASSES]}
    assert class_changes(given | {"se": more}, CLASSES, METRIC) == changes


def test_intervals_stay_within_what_is_possible():
    changes = class_changes(study({"se": [0.0, 0.0, 0.0]}, seeds=2, noise=0.2), CLASSES, METRIC)
    assert all(-1 <= change.low <= change.high <= 1 for change in changes)


def test_the_same_change_in_both_seeds_is_not_significant():
    """Two seeds, three images of seventy more in each: accuracies come in float32, as scores are computed."""
    right = {"none": [(60, 50), (62, 51)], "se": [(63, 50), (65, 51)]}
    given = {
        label: {
            seed: [
                scores(name, float(np.float32(hits) / np.float32(70)))
                for name, hits in zip(("cat", "dog"), of_seed, strict=True)
            ]
            for seed, of_seed in enumerate(by_seed)
        }
        for label, by_seed in right.items()
    }
    changes = class_changes(given, ["cat", "dog"], METRIC)
    assert changes[0].difference == pytest.approx(3 / 70)
    assert changes[1].difference == 0
    for change in changes:
        found = (change.low, change.high, change.p_adjusted, change.is_significant)
        assert found == (None, None, None, False)
        assert change.family == 2
    (sentence,) = class_changes_sentences(changes)
    assert "+4.29 points (the same difference in each seed: no spread to test against)" in sentence
    table = class_changes_table(changes, METRIC)
    assert table.rows[0][2] == ("+4.29", "same in each seed")


def test_table_and_figure_have_all_classes(changes):
    table = class_changes_table(changes, METRIC)
    assert [row[0].main for row in table.rows] == CLASSES
    assert [row[2].main.endswith("*") for row in table.rows] == [True, False, True]
    figure = class_changes_figure(changes, METRIC)
    cells = figure.spec["data"]["values"]
    assert [cell["significant"] for cell in cells] == [change.is_significant for change in changes]
    assert [cell["change"] for cell in cells] == pytest.approx(
        [100 * change.difference for change in changes]
    )
    assert "&lt;b&gt;ship" in as_svg(figure)


def test_of_many_classes_table_and_figure_have_those_that_change_most():
    many = [f"class {number}" for number in range(40)]
    gains = [number / 1000 for number in range(40)]
    changes = class_changes(study({"se": gains}, noise=1e-4, classes=many), many, METRIC)
    assert len(changes) == 40
    table = class_changes_table(changes, METRIC)
    assert [row[0].main for row in table.rows] == many[10:]
    assert "the 30 of 40 classes that change most" in table.caption
    cells = class_changes_figure(changes, METRIC).spec["data"]["values"]
    assert [cell["class"] for cell in cells] == many[10:]


@pytest.mark.parametrize("nothing", [None, 0.0])  # as foveate 0.1.0 recorded it
def test_classes_without_test_images_are_not_in_the_family_and_are_named(nothing):
    given = study({"se": [0.05, 0.0, -0.05], "ca": [0.0, 0.0, 0.0]})
    given["se"][2][1] = scores("dog", nothing, support=0)
    changes = class_changes(given, CLASSES, METRIC)
    assert [change.name for change in changes] == ["cat", "<b>ship</b>"] * 2
    assert {change.family for change in changes} == {4}
    assert untested_classes(given, CLASSES, METRIC) == ["dog"]
    sentences = class_changes_sentences(changes, ["dog"])
    assert sentences[-1] == "Not in the test part, and not tested: dog."
    assert sentences[:-1] == class_changes_sentences(changes)
