"""What can be asked of --tune, and what is refused before any work."""

from pathlib import Path
from typing import Any

import pytest

from foveate.errors import RequestError
from foveate.records.tuning import Proposal, TunedCandidate, Tuning, TuningTrial
from foveate.studies.spec.making import make_study
from foveate.studies.spec.request import Compared, RecipeKeys, StudyKeys, read_request
from foveate.studies.spec.study import StudySpec
from foveate.studies.spec.tuning import proposed_recipe, tuned_candidate, tuned_options, with_each_option
from foveate.training.recipe import Recipe


def study(**settings: Any) -> StudySpec:
    usual = {"data": "digits", "backbone": "cifar_resnet8", "attention": "none,se,eca", "tune": 8}
    return make_study(usual | settings, {})


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"tune": 0}, "tune = 0: expected the number of trials of each candidate, 2 to 1000"),
        ({"tune": 1}, "the first of them has the recipe's own values"),
        ({"tune": True}, "tune = True: expected the number"),
        ({"tune": "many"}, "tune = 'many': expected the number"),
        ({"tune": 1001}, "tune = 1001: expected"),
        ({"tune": None, "tune_option": "reduction=4,8"}, "give --tune 8, too"),
        ({"seeds": [0, 1000]}, "seeds have 1000, which is the seed of the trials"),
        ({"tune_option": "reductio=4,8"}, "unknown tune_option 'reductio'. Did you mean 'reduction'?"),
        ({"tune_option": {"nothing": [4]}}, "unknown tune_option 'nothing'"),
        ({"tune_option": "reduction"}, "tune_option takes OPTION=VALUE,VALUE"),
        ({"tune_option": "reduction=4,,8"}, "tune_option 'reduction=4,,8': a value is empty"),
        ({"tune_option": ["reduction=4,4"]}, "tune_option reduction names 4 more than once"),
        ({"tune_option": ["reduction=4", "reduction=8"]}, "names reduction more than once"),
        ({"tune_option": {"reduction": 4}}, "tune_option reduction = 4: expected a list of values"),
        ({"tune_option": 4}, "tune_option = 4: expected options with their values"),
        (
            {"attention": "none,se(reduction=2)", "tune_option": "reduction=4"},
            r"give a value, which stays \(se\(reduction=2\)\)",
        ),
        (
            {"attention": "none,se,se(reduction=4)", "tune_option": "reduction=4,8"},
            r"makes se\(reduction=4\) one of the trials of se",
        ),
        (
            {"attention": None, "ablate": "sgfa", "tune_option": "reduction=4"},
            "this study is of the kind ablate",
        ),
        (
            {"attention": None, "backbone": None, "backbones": ["resnet18"], "tune_option": "reduction=4"},
            "this study is of the kind networks",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        study(**settings)


def test_flags_and_keys_ask_for_the_same(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "data: digits\nbackbone: cifar_resnet8\nattention: [none, se]\ntune: 4\n"
        "tune_option: {reduction: [4, 8]}\n"
    )
    by_file = read_request(file, Compared(), StudyKeys(), RecipeKeys())
    keys = StudyKeys(data="digits", backbone="cifar_resnet8", tune=4, tune_option=["reduction=4,8"])
    assert read_request(None, Compared(attention="none,se"), keys, RecipeKeys()) == by_file
    assert by_file.tune is not None
    assert by_file.tune.options == {"reduction": (4, 8)}
    assert read_request(file, Compared(), StudyKeys(tune=6), RecipeKeys()).tune is not None


def test_a_mechanism_takes_the_options_that_it_has_and_was_not_given() -> None:
    asked = study(attention="none,se,eca,cbam(reduction=2)", tune_option="reduction=4,8")
    assert asked.tune is not None
    assert [tuned_options(asked.tune, one) for one in asked.attention] == [(), ("reduction",), (), ()]
    labels = [one.label for one in with_each_option(asked.tune, asked.attention)]
    assert labels == ["none", "se", "eca", "cbam(reduction=2)", "se(reduction=4)", "se(reduction=8)"]
    proposal = Proposal(learning_rate=0.1, weight_decay=0.0, options={"reduction": "8"})
    tuned = tuned_candidate(asked.attention[1], asked.tune, proposal)
    assert (tuned.label, tuned.options) == ("se", {"reduction": 8})
    usual = proposal.model_copy(update={"options": {}})
    assert tuned_candidate(asked.attention[1], asked.tune, usual) == asked.attention[1]


def test_the_schedule_keeps_its_shape() -> None:
    recipe = Recipe(learning_rate=0.1, final_learning_rate=0.001, weight_decay=5e-4)
    changed = proposed_recipe(recipe, Proposal(learning_rate=0.4, weight_decay=1e-3))
    assert (changed.learning_rate, changed.weight_decay) == (0.4, 1e-3)
    assert changed.final_learning_rate == pytest.approx(0.004)
    assert proposed_recipe(recipe, Proposal(learning_rate=0.1, weight_decay=5e-4)) == recipe


def test_a_run_is_named_by_its_own_recipe_and_an_untuned_one_as_before() -> None:
    untuned = study(tune=None, seeds=1)
    assert not {"tune", "tuning"} & untuned.model_dump().keys()
    ids = [run.id for run in untuned.runs("f")]
    proposals = (
        Proposal(learning_rate=untuned.recipe.learning_rate, weight_decay=untuned.recipe.weight_decay),
        Proposal(learning_rate=0.3, weight_decay=0.001),
    )
    trials = tuple(TuningTrial(number=n, validation=0.5, epochs=1, state="complete") for n in (0, 1))
    got = tuple(
        TunedCandidate(label=label, chosen=chosen, trials=trials)
        for label, chosen in (("none", 0), ("se", 1))
    )
    tuning = Tuning(
        seed=1000, learning_rate=(0.0, 1.0), weight_decay=(0.0, 1.0), proposals=proposals, candidates=got
    )
    runs = study(tune=2, seeds=1).model_copy(update={"tuning": tuning}).runs("f")
    assert [run.recipe.learning_rate for run in runs] == [0.1, 0.3, 0.1]
    assert [run.id == before for run, before in zip(runs, ids, strict=True)] == [True, False, True]
