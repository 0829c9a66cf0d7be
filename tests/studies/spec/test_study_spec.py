from typing import Any

import pytest

from foveate.errors import RequestError
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec

DIGITS = {"data": "digits", "backbone": "cifar_resnet20", "attention": "none,se", "seeds": 2}


def study(changes: dict[str, Any] | None = None, **settings: Any) -> StudySpec:
    return make_study(DIGITS | settings, changes or {})


def ids(spec: StudySpec, fingerprint: str = "f") -> list[str]:
    return [run.id for run in spec.runs(fingerprint)]


def test_runs_go_seed_by_seed() -> None:
    order = [(run.attention.name, run.seed) for run in study().runs("f")]
    assert order == [("none", 0), ("se", 0), ("none", 1), ("se", 1)]


def test_a_run_is_named_by_what_decides_its_result() -> None:
    assert len(set(ids(study()))) == 4
    assert ids(study()) == ids(study())
    assert ids(study(seeds=3))[:4] == ids(study())
    assert ids(study(attention="none,se,cbam"))[:2] == ids(study())[:2]
    assert ids(study(adjust="bonferroni")) == ids(study())
    for other in (study({"epochs": 3}), study(train_fraction=0.5), study(backbone="cifar_resnet18")):
        assert not set(ids(other)) & set(ids(study()))
    assert not set(ids(study(), "g")) & set(ids(study()))


def test_where_the_images_lie_does_not_matter() -> None:
    here, there = (
        make_study(DIGITS | {"data": path, "recipe": "default"}, {}) for path in ("a/set", "/b/set")
    )
    assert ids(here) == ids(there)


def test_the_ids_of_0_1_0_stay() -> None:
    attention = "none,dmsca(reduction=8,where=stage)"
    spec = study(backbone="cifar_resnet8", attention=attention)
    assert ids(spec, "5f0c9a") == [
        "d18b7cfa80b1ea70",
        "d541b36d324b9a92",
        "9a7b715f1d8e412d",
        "9bf03a93ed77254b",
    ]


def test_data_has_its_recipe_and_changes_win() -> None:
    assert study().recipe.augmentation == ("crop",)
    assert study(data="folder").recipe.augmentation == ("crop", "flip")
    assert study({"epochs": 7}).recipe.epochs == 7
    assert study(recipe={"base": "default", "epochs": 9}).recipe.epochs == 9
    assert study({"epochs": 7}, recipe={"epochs": 9}).recipe.epochs == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "cifar_resnet2O"}, "unknown backbone 'cifar_resnet2O'. Did you mean 'cifar_resnet20'"),
        ({"back_bone": "x"}, "unknown study key 'back_bone'. Did you mean 'backbone'"),
        ({"attention": ""}, "names no attention: give one of attention"),
        ({"data": None}, "names no data"),
        ({"seeds": 0}, "expected at least one"),
        ({"seeds": [1, 1]}, "none twice"),
        ({"seeds": [2**40]}, "each from 0 to"),
        ({"seeds": [True]}, "expected how many"),
        ({"seeds": 10**9}, "1000000000 seeds: expected at most 1000"),
        ({"seeds": "two"}, "expected how many, or a list"),
        ({"train_fraction": 1.5}, "train_fraction = 1.5: Input should be less than or equal to 1"),
        ({"image_size": 2}, "image_size = 2"),
        ({"adjust": "fdr"}, "adjust = 'fdr': Input should be 'holm' or 'bonferroni'"),
        ({"recipe": {"epoch": 1}}, "unknown recipe key 'epoch'"),
        ({"recipe": {"epochs": True}}, "epochs = True: .*expected a number, not true or false"),
        ({"recipe": {"learning_rate": True}}, "learning_rate = True"),
        ({"recipe": {"optimizer": False}}, "optimizer = False: .*put it in quotes"),
        ({"train_fraction": True}, "train_fraction = True"),
        ({"data": 7}, "data = 7: .*put the name in quotes"),
        ({"grow": "depth"}, "grow = depth says how control enlarges .* give --control parameters, macs or"),
    ],
)
def test_what_cannot_be_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_study(DIGITS | settings, {})


def test_names_are_understood_as_papers_write_them() -> None:
    attention = ["plain", "CBAM", {"Se": {"reduction": 8}}, "SGFA-CA", {"Baseline": {"width": 1.5}}]
    study = make_study(DIGITS | {"attention": attention}, {})
    labels = [candidate.label for candidate in study.attention]
    assert labels == ["none", "cbam", "se(reduction=8)", "sgfa_ca", "none(width=1.5)"]
