from pathlib import Path

import pytest
from scipy import stats
from synthetic_study import plan_looks, run_record, write_study

from foveate.evaluation.comparisons import compare_candidates
from foveate.evaluation.looks import replay
from foveate.evaluation.significance import Outcome
from foveate.records.study import read_study

LEVELS = {3: 0.0, 4: 0.001, 5: 0.02, 6: 0.04}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.0, "dmsca": 0.03}, seeds=6, noise=0.001)
    plan_looks(folder, LEVELS, margin=0.004)
    return folder


def values(folder: Path, label: str, seeds: int) -> list[float]:
    records = read_study(folder)
    return [records.results[label][seed].test.accuracy for seed in range(seeds)]


def test_a_comparison_is_decided_at_the_first_look_under_its_level(study: Path) -> None:
    courses = replay(read_study(study))
    dmsca = courses["none", "dmsca"]
    assert [look.pairs for look in dmsca.looks] == [3, 4]
    assert [look.outcome for look in dmsca.looks] == [Outcome.INCONCLUSIVE, Outcome.BETTER]
    p = stats.ttest_rel(values(study, "dmsca", 4), values(study, "none", 4)).pvalue
    assert dmsca.looks[-1].p == pytest.approx(p)
    assert p < 0.001
    assert dmsca.looks[0].interval is None  # at a level of 0 everything is possible
    assert dmsca.seeds == (0, 1, 2, 3)
    assert courses["none", "se"].outcome is Outcome.EQUIVALENT


def test_looks_use_the_first_seeds_whatever_there_is_more(study: Path) -> None:
    whole, part = replay(read_study(study)), replay(read_study(study), seeds=4)
    for pair, course in part.items():
        assert whole[pair].looks[: len(course.looks)] == course.looks
    assert replay(read_study(study), seeds=3)["none", "dmsca"].is_decided is False


def test_a_missing_run_delays_the_look_by_a_seed(study: Path) -> None:
    run_record(study, "dmsca", 1).unlink()
    dmsca = replay(read_study(study))["none", "dmsca"]
    assert dmsca.seeds == (0, 2, 3, 4)
    assert [look.pairs for look in dmsca.looks] == [3, 4]


def test_the_table_of_tests_has_the_deciding_look(study: Path) -> None:
    found = {(one.a, one.b): one for one in compare_candidates(read_study(study))}
    dmsca = found["none", "dmsca"]
    assert dmsca.test.n == 4
    assert dmsca.outcome is Outcome.BETTER
    assert dmsca.test.p is not None
    assert dmsca.p_adjusted == pytest.approx(dmsca.test.p * 0.05 / 0.001)
    open_pair = {one.b: one for one in compare_candidates(read_study(study))}["se"]
    assert open_pair.p_adjusted is not None
    assert open_pair.p_adjusted >= 0.05


def test_records_without_a_plan_have_no_course(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not planned look by look"):
        replay(read_study(write_study(tmp_path, seeds=2)))
