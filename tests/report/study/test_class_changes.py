import numpy as np
import pytest
from scipy import stats

from foveate.report.core.files import as_markdown, as_svg
from foveate.report.study.class_changes import (
    class_changes,
    class_changes_figure,
    class_changes_sentences,
    class_changes_table,
    untested_classes,
)

CLASSES = ["cat", "dog", "<b>ship</b>"]


def study(changes: dict[str, list[float]], seeds: int = 4, noise: float = 0.002, classes=CLASSES):
    """Accuracies by label, seed and class: 0.8, a level by seed, the mechanism's change, some noise."""
    random = np.random.default_rng(0)
    levels = random.normal(0, 0.02, seeds)
    every = {"none": [0.0] * len(classes)} | changes
    return {
        label: {
            seed: [
                {"class": name, "accuracy": 0.8 + levels[seed] + change + random.normal(0, noise)}
                for name, change in zip(classes, of_label, strict=True)
            ]
            for seed in range(seeds)
        }
        for label, of_label in every.items()
    }


def test_changes_are_paired_by_seed_and_their_intervals_hold_together():
    given = study({"se": [0.05, 0.0, -0.05], "ca": [0.0, 0.0, 0.0]})
    changes = class_changes(given, CLASSES)
    assert [(row["attention"], row["class"]) for row in changes] == [
        (label, name) for label in ("se", "ca") for name in CLASSES
    ]
    first = changes[0]
    pairs = [[given[label][seed][0]["accuracy"] for seed in range(4)] for label in ("none", "se")]
    low, high = stats.ttest_rel(*pairs[::-1]).confidence_interval(1 - 0.05 / 6)
    assert (first["low"], first["high"]) == pytest.approx((low, high))
    assert first["difference"] == pytest.approx(first["accuracy"] - first["plain"])
    assert [row["shown"] for row in changes] == [True, False, True, False, False, False]
    assert {row["family"] for row in changes} == {6}


def test_sentences_name_who_gains_and_who_loses():
    sentences = class_changes_sentences(class_changes(study({"se": [0.05, 0.0, -0.05]}), CLASSES))
    assert sentences[0] == (
        "Of 3 changes (1 mechanism by 3 classes) 2 are shown, by intervals that are adjusted for "
        "their number."
    )
    assert sentences[1].startswith("se gains on cat (+")
    assert sentences[2].startswith("se loses on <b>ship</b> (−")


def test_no_change_is_said_to_be_none():
    (sentence,) = class_changes_sentences(
        class_changes(study({"se": [0.001, 0.0, 0.0]}, noise=0.03), CLASSES)
    )
    assert sentence.startswith("No class's change is shown: of 3 changes")
    assert "That does not mean that there is none: with 4 seeds half of the intervals reach" in sentence


def test_chance_alone_is_seldom_shown():
    classes = [str(number) for number in range(20)]
    given = study({label: [0.0] * 20 for label in ("se", "ca", "eca")}, noise=0.02, classes=classes)
    assert not any(row["shown"] for row in class_changes(given, classes))


def test_one_seed_no_plain_and_plain_alone():
    changes = class_changes(study({"se": [0.05, 0.0, -0.05]}, seeds=1), CLASSES)
    assert all(row["low"] is None and not row["shown"] for row in changes)
    assert class_changes_sentences(changes)[0].startswith("With one seed nobody can tell")
    assert class_changes_figure(changes) is not None
    assert "–" not in as_markdown(class_changes_table(changes))
    given = study({"se": [0.05, 0.0, -0.05]})
    for poor in ({"none": given["none"]}, {"se": given["se"]}):
        assert class_changes(poor, CLASSES) == []
    assert class_changes_sentences([]) == []
    assert class_changes_table([]) is None
    assert class_changes_figure([]) is None


def test_seeds_that_only_one_has_do_not_count():
    given = study({"se": [0.05, 0.0, -0.05]})
    whole = class_changes(given, CLASSES)
    given["se"][9] = [{"class": name, "accuracy": 0.0} for name in CLASSES]
    assert class_changes(given, CLASSES) == whole


def test_intervals_do_not_leave_what_is_possible():
    changes = class_changes(study({"se": [0.0, 0.0, 0.0]}, seeds=2, noise=0.2), CLASSES)
    assert all(-1 <= row["low"] <= row["high"] <= 1 for row in changes)


def test_the_same_change_in_both_seeds_is_not_shown():
    """Two seeds, three images of seventy more in each: accuracies come in float32, as scores are computed."""
    right = {"none": [(60, 50), (62, 51)], "se": [(63, 50), (65, 51)]}
    given = {
        label: {
            seed: [
                {"class": name, "accuracy": float(np.float32(hits) / np.float32(70))}
                for name, hits in zip(("cat", "dog"), of_seed, strict=True)
            ]
            for seed, of_seed in enumerate(by_seed)
        }
        for label, by_seed in right.items()
    }
    changes = class_changes(given, ["cat", "dog"])
    assert changes[0]["difference"] == pytest.approx(3 / 70)
    for row in changes:
        assert (row["low"], row["high"], row["p_adjusted"], row["shown"]) == (None, None, None, False)
        assert row["family"] == 2
    (sentence,) = class_changes_sentences(changes)
    assert "+4.29 points (the same difference in each seed: no spread to test against)" in sentence
    table = class_changes_table(changes)
    assert table.rows[0][2] == ("+4.29", "same in each seed")


def test_table_and_figure_show_all_classes_or_those_that_change_most():
    changes = class_changes(study({"se": [0.05, 0.0, -0.05]}), CLASSES)
    table = class_changes_table(changes)
    assert [row[0].main for row in table.rows] == CLASSES
    assert [cell.main.endswith("*") for cell in (row[2] for row in table.rows)] == [True, False, True]
    svg = as_svg(class_changes_figure(changes))
    assert "+5." in svg
    assert "&lt;b&gt;ship" in svg
    many = [f"class {number}" for number in range(40)]
    gains = [number / 1000 for number in range(40)]
    changes = class_changes(study({"se": gains}, noise=1e-4, classes=many), many)
    table = class_changes_table(changes)
    assert [row[0].main for row in table.rows] == many[10:]
    assert "the 30 of 40 classes that change most" in table.caption
    assert len(changes) == 40


def test_classes_without_test_images_are_out_of_the_family_and_named():
    """Recorded as None, and by foveate 0.1.0 as 0 with a support of 0."""
    for nothing in ({"accuracy": None, "support": 0}, {"accuracy": 0.0, "support": 0}):
        given = study({"se": [0.05, 0.0, -0.05], "ca": [0.0, 0.0, 0.0]})
        for by_seed in given.values():
            for rows in by_seed.values():
                rows[0]["support"] = rows[2]["support"] = 10
                rows[1] |= nothing
        changes = class_changes(given, CLASSES)
        assert [row["class"] for row in changes] == ["cat", "<b>ship</b>"] * 2
        assert {row["family"] for row in changes} == {4}
        assert untested_classes(given, CLASSES) == ["dog"]
        sentences = class_changes_sentences(changes, ["dog"])
        assert sentences[-1] == "Without test images, and not tested: dog."
        assert sentences[:-1] == class_changes_sentences(changes)
