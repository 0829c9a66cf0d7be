"""The family that the design of a study declares, in a new folder and in one where a study was begun."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from foveate.errors import RequestError
from foveate.records.file_names import STUDY
from foveate.studies.engine.family import statistics_of, with_family
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec

OF_0_1_0 = Path(__file__).parents[1] / "study_0_1_0"


def study(**settings: Any) -> StudySpec:
    return make_study(
        {"data": "digits", "backbone": "cifar_resnet8", "attention": "none,se,cbam"} | settings, {}
    )


def begun(folder: Path, **design: str) -> Path:
    shutil.copytree(OF_0_1_0, folder)
    record = json.loads((folder / STUDY).read_text())
    record["design"] |= design
    (folder / STUDY).write_text(json.dumps(record))
    return folder


def test_a_new_study_compares_with_the_baseline(tmp_path: Path) -> None:
    assert with_family(study(), tmp_path).design.family == "baseline"
    assert with_family(study(family="all"), tmp_path).design.family == "all"


def test_without_a_baseline_all_pairs_are_compared(tmp_path: Path) -> None:
    assert with_family(study(attention="se,cbam"), tmp_path).design.family == "all"
    assert (
        with_family(study(attention="se,cbam"), begun(tmp_path / "a", family="baseline")).design.family
        == "all"
    )


def test_a_study_keeps_the_family_that_it_was_begun_with(tmp_path: Path) -> None:
    old, new = begun(tmp_path / "old"), begun(tmp_path / "new", family="baseline")
    assert with_family(study(), old).design.family == "all"  # as 0.1.0 did, which declared none
    assert with_family(study(), new).design.family == "baseline"
    assert with_family(study(family="baseline"), old).design.family == "baseline"
    assert with_family(study(family="all"), new).design.family == "all"


def test_planned_comparisons_and_networks_are_left_alone(tmp_path: Path) -> None:
    swept = study(attention=None, sweep="se", values=["reduction=4,16"])
    networks = study(attention=None, backbone=None, backbones="resnet18,resnet34")
    for one in (swept, networks):
        assert with_family(one, tmp_path) == one


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"family": "some"}, "family"),
        ({"family": "baseline", "attention": "se,cbam"}, "add none to attention"),
        (
            {"family": "all", "attention": None, "ablate": "dmsca"},
            "ablate tests the comparisons that it plans",
        ),
        (
            {"family": "baseline", "attention": None, "backbone": None, "backbones": "resnet18,resnet34"},
            "no baseline to compare with",
        ),
    ],
)
def test_a_family_that_the_study_cannot_have_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        study(**settings)


def test_a_study_keeps_its_margin_and_its_population(tmp_path: Path) -> None:
    assert statistics_of(study(), tmp_path).to_json() == {"adjust": "holm", "alpha": 0.05, "power": 0.8}
    asked = statistics_of(study(margin=1.5, population="these-images"), tmp_path)
    assert (asked.margin, asked.population) == (0.015, "these-images")
    folder = begun(tmp_path / "begun")
    record = json.loads((folder / STUDY).read_text())
    record["statistics"] |= asked.to_json()
    (folder / STUDY).write_text(json.dumps(record))
    kept, other = statistics_of(study(), folder), statistics_of(study(margin=0.2), folder)
    assert (kept.margin, kept.population) == (0.015, "these-images")
    assert (other.margin, other.population) == (0.002, "these-images")


@pytest.mark.parametrize("margin", [0, -1, 0.001, 100, 1e9])
def test_a_margin_of_nothing_or_of_more_than_can_be_is_refused(margin: float) -> None:
    with pytest.raises(
        RequestError, match=r"margin = .*: expected points of accuracy, at least 0.01 and under 100"
    ):
        study(margin=margin)


def test_a_margin_and_a_population_do_not_change_runs() -> None:
    asked = study(margin=1.5, population="these-images")
    assert [run.id for run in asked.runs("f")] == [run.id for run in study().runs("f")]
    with pytest.raises(RequestError, match="population"):
        study(population="all-images")
