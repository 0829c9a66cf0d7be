from dataclasses import replace
from pathlib import Path

from synthetic_study import plan_looks, write_study

from foveate.evaluation.look_sentences import look_sentence, stop_sentences
from foveate.evaluation.looks import replay
from foveate.records.study import read_study


def test_a_look_names_what_it_decided_and_what_is_open(tmp_path: Path) -> None:
    write_study(tmp_path, gains={"none": 0.0, "se": 0.0, "dmsca": 0.03}, seeds=6, noise=0.001)
    plan_looks(tmp_path, {3: 0.0, 4: 0.001, 5: 0.001}, margin=0.0001)
    records = read_study(tmp_path)
    first = look_sentence(records.study, replay(records, seeds=3), 3)
    assert first.startswith("look 1, 3 seeds: se against the baseline open (p 0.")
    assert "too early to decide" in first
    second = look_sentence(records.study, replay(records, seeds=4), 4)
    assert "dmsca better than the baseline (p " in second
    assert "level 0.001)" in second
    third = look_sentence(records.study, replay(records, seeds=5), 5)
    assert "dmsca better than the baseline" not in third  # decided before


def test_it_says_where_the_images_alone_leave_a_comparison_open(tmp_path: Path) -> None:
    write_study(tmp_path, gains={"none": 0.0, "se": 0.0}, seeds=5, noise=0.003)
    plan_looks(tmp_path, {3: 0.001, 4: 0.001, 5: 0.001}, margin=0.004, stopped="max-seeds")
    records = read_study(tmp_path)
    ((pair, course),) = replay(records).items()
    assert not course.is_decided
    # Φ⁻¹(1 - 0.001) = 3.09: an error of 0.002 is over 0.004 / 3.09, one of 0.0005 is far under it.
    for error, is_said in ((0.002, True), (0.0005, False)):
        looks = (*course.looks[:-1], replace(course.looks[-1], difference=0.0, image_variance=error**2))
        said = stop_sentences(records.study, {pair: replace(course, looks=looks)})
        assert said[:2] == ["The budget of 5 seeds is spent.", "Still open: se against the baseline."]
        assert any("the 360 test images alone" in sentence for sentence in said) is is_said
