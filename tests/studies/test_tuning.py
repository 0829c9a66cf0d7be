"""Studies of which each candidate gets the same trials before its seeds begin."""

import json
from pathlib import Path
from typing import Any

import pytest

from foveate.errors import NotFiniteError, RequestError, WorkError
from foveate.records.file_names import COST, RESULT, RUNS, SEARCH, STUDY
from foveate.records.files import read_record
from foveate.records.study import StudyRecord, read_study
from foveate.records.trial import TRIAL
from foveate.records.tuning import Tuning
from foveate.studies import tuning_trials
from foveate.studies.compare import compare
from foveate.studies.engine.executors.processes import HERE, LocalProcesses
from foveate.studies.engine.fitting import Machine
from foveate.studies.plan import plan
from foveate.studies.search import search
from foveate.studies.spec.making import make_study
from foveate.studies.spec.request import SearchSettings
from foveate.studies.spec.study import StudySpec
from noting import Notes

CPU = Machine("cpu", threads=1)
OPTION = {"reduction": [2, 4]}


def study(bands: Path, changes: dict[str, Any] | None = None, **settings: Any) -> StudySpec:
    settings = {
        "data": str(bands),
        "backbone": "cifar_resnet8",
        "attention": "none,se",
        "seeds": 1,
        "tune": 3,
    } | settings
    return make_study(settings, {"epochs": 1, "batch_size": 16, "augmentation": ()} | (changes or {}))


def tuning_of(out: Path) -> Tuning:
    found = read_record(out / STUDY, StudyRecord).tuning
    assert found is not None
    return found


def trials_on_disk(out: Path) -> list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """The mechanism, its options, the recipe and the record of each trial."""
    found = []
    for path in sorted((out / SEARCH).glob(f"*/{TRIAL}"), key=lambda path: path.stat().st_mtime_ns):
        spec = json.loads((path.parent / "spec.json").read_text())
        assert spec["seed"] == 1000
        attention = spec["attention"]
        found.append((attention["name"], attention["options"], spec["recipe"], json.loads(path.read_text())))
    return found


@pytest.fixture(scope="module")
def made(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study that was tuned; for reading."""
    out = tmp_path_factory.mktemp("tuning") / "out"
    compare(study(bands, tune_option=OPTION), out, CPU)
    return out


def test_each_candidate_gets_the_same_trials_and_trains_by_its_best(made: Path) -> None:
    tuning, trials = tuning_of(made), trials_on_disk(made)
    rates = [proposal.learning_rate for proposal in tuning.proposals]
    assert [name for name, *_ in trials] == ["none", "se"] * 3  # in turns
    for label in ("none", "se"):
        own = [one for one in trials if one[0] == label]
        assert [recipe["learning_rate"] for _, _, recipe, _ in own] == rates
        assert [recipe["weight_decay"] for _, _, recipe, _ in own] == [
            proposal.weight_decay for proposal in tuning.proposals
        ]
        values = [record["accuracies"][record["chosen_epoch"] - 1] for *_, record in own]
        tuned = tuning.of(label)
        assert tuned is not None
        assert [trial.validation for trial in tuned.trials] == values
        assert tuned.chosen == values.index(max(values))
        (run,) = read_study(made).results[label].values()
        _, options, recipe, _ = own[tuned.chosen]
        assert run.spec["recipe"] == recipe
        assert run.spec["attention"]["options"] == options  # type: ignore[index,call-overload]
        assert run.spec["seed"] == 0
    assert [options for name, options, *_ in trials if name == "se"] == [
        {},
        {"reduction": 2},
        {"reduction": 4},
    ]
    assert not list((made / SEARCH).rglob(RESULT))  # nothing was tested
    assert not list((made / SEARCH).rglob("*.ckpt"))


def test_the_same_command_repeats_nothing(bands: Path, made: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*.json") if path.name != COST}
    watch = Notes()
    compare(study(bands, tune_option=OPTION), made, CPU, watch=watch)
    assert (watch.done, watch.notes) == ([], [])
    after = {path: path.read_bytes() for path in before}
    for path, content in before.items():
        assert path.name == STUDY or after[path] == content


def test_what_was_interrupted_goes_on_with_the_same_result(bands: Path, made: Path, tmp_path: Path) -> None:
    class Interrupted(Notes):
        def step(self, run: str, *_: Any) -> None:
            if run == "se, trial 1":
                raise KeyboardInterrupt

    asked = study(bands, tune_option=OPTION)
    with pytest.raises(KeyboardInterrupt):
        compare(asked, tmp_path, CPU, watch=Interrupted())
    assert len(trials_on_disk(tmp_path)) == 3
    watch = Notes()
    compare(asked, tmp_path, CPU, watch=watch)
    assert watch.done[:3] == ["se, trial 1", "baseline, trial 2", "se, trial 2"]
    assert tuning_of(tmp_path) == tuning_of(made)
    for label, runs in read_study(made).results.items():
        assert read_study(tmp_path).results[label][0].test == runs[0].test


@pytest.mark.usefixtures("forked_workers")
def test_jobs_change_nothing(bands: Path, made: Path, tmp_path: Path) -> None:
    compare(study(bands, tune_option=OPTION), tmp_path, CPU, executor=LocalProcesses(2))
    assert tuning_of(tmp_path) == tuning_of(made)
    ids = [{path.parent.name for path in out.glob(f"{RUNS}/*/{RESULT}")} for out in (tmp_path, made)]
    assert ids[0] == ids[1]


def test_another_mechanism_joins_with_the_same_proposals_and_another_tuning_does_not(
    bands: Path, tmp_path: Path
) -> None:
    compare(study(bands, tune_option=OPTION), tmp_path, CPU)
    first, runs = tuning_of(tmp_path), read_record(tmp_path / STUDY, StudyRecord).runs
    watch = Notes()
    compare(study(bands, attention="none,se,eca", tune_option=OPTION), tmp_path, CPU, watch=watch)
    assert watch.done == [*(f"eca, trial {number}" for number in range(3)), "eca, seed 0"]
    both = tuning_of(tmp_path)
    assert both.proposals == first.proposals
    assert both.candidates[:2] == first.candidates
    assert both.candidates[2].options == ()  # it has no reduction
    assert set(runs) < set(read_record(tmp_path / STUDY, StudyRecord).runs)
    for other, why in (
        ({"tune": 4, "tune_option": OPTION}, "3 trials with reduction=2,4 instead of 4 trials with reduc"),
        ({"tune_option": None}, "tune 3 trials with reduction=2,4 instead of 3 trials"),
        ({"tune": None}, "tune 3 trials with reduction=2,4 instead of no trials"),
    ):
        with pytest.raises(RequestError, match=f"holds another study: .*{why}"):
            compare(study(bands, **other), tmp_path, CPU)


def test_a_control_is_matched_to_the_tuned_mechanism_and_gets_its_own_trials(
    bands: Path, tmp_path: Path
) -> None:
    asked = study(bands, control="parameters", tune=2, tune_option={"reduction": [1]})
    watch = Notes()
    compare(asked, tmp_path, CPU, watch=watch)
    record = read_record(tmp_path / STUDY, StudyRecord)
    (control,) = record.design.controls
    assert record.tuning is not None
    assert [one.label for one in record.tuning.candidates] == ["none", "se", control.label]
    assert [len(one.trials) for one in record.tuning.candidates] == [2, 2, 2]
    reached = json.loads((tmp_path / COST).read_text())["rows"]
    assert control.asked == reached["se"]["parameters"]
    planned = plan(asked, tmp_path, CPU)
    assert (planned.trials, planned.tuning_seconds, planned.finished) == (6, 0, 3)


def test_whole_networks_and_ablations_are_tuned_too(bands: Path, tmp_path: Path) -> None:
    networks = study(bands, attention=None, backbone=None, backbones=["cifar_resnet8"], tune=2)
    compare(networks, tmp_path / "a", CPU)
    assert [one.label for one in tuning_of(tmp_path / "a").candidates] == ["cifar_resnet8"]
    ablation = study(bands, attention=None, ablate="sgfa", tune=2)
    few = {"attention": ablation.attention[:2]}
    compare(ablation.model_copy(update=few), tmp_path / "b", CPU)
    assert [one.label for one in tuning_of(tmp_path / "b").candidates] == ["none", "sgfa_ca"]


def test_a_trial_that_diverges_has_failed_and_counts(
    bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = tuning_trials.train, study(bands, attention="none")
    called: list[float] = []

    def train(spec: Any, *arguments: Any) -> Any:
        called.append(spec.recipe.learning_rate)
        if spec.recipe.learning_rate > asked.recipe.learning_rate:
            raise NotFiniteError("the loss is not a finite number")
        return real(spec, *arguments)

    monkeypatch.setattr(tuning_trials, "train", train)
    compare(asked, tmp_path, CPU)
    (tuned,) = tuning_of(tmp_path).candidates
    assert [trial.state for trial in tuned.trials] == ["complete", "failed", "complete"]
    assert tuned.failed == 1
    assert tuned.trials[1].validation is None
    (tmp_path / STUDY).unlink()
    compare(asked, tmp_path, CPU)
    assert len(called) == 3  # a loss that was not finite would be so again
    assert tuning_of(tmp_path).candidates == (tuned,)


def test_a_study_of_which_every_trial_fails_says_why(bands: Path, tmp_path: Path) -> None:
    asked = study(bands, {"learning_rate": 1e30, "warmup_ratio": 0.0}, attention="none", tune=2)
    with pytest.raises(WorkError, match="none of the 2 trials was completed. The first error: the loss is"):
        compare(asked, tmp_path, CPU)
    assert not (tmp_path / STUDY).exists()


def test_a_plan_counts_the_trials(bands: Path, tmp_path: Path) -> None:
    asked = study(bands, seeds=2)
    planned = plan(asked, tmp_path / "out", CPU)
    assert (planned.trials, planned.runs) == (6, 4)
    assert [row.trials_left for row in planned.candidates] == [3, 3]
    assert all(0 < (row.trial_seconds or 0) <= row.run_seconds for row in planned.candidates)
    assert planned.tuning_seconds == pytest.approx(
        sum(3 * (row.trial_seconds or 0) for row in planned.candidates)
    )
    assert planned.other_seconds is not None
    assert planned.total_seconds == pytest.approx(
        planned.seconds + planned.tuning_seconds + planned.other_seconds.total
    )
    assert "trials" not in plan(study(bands, tune=None), tmp_path / "out", CPU).to_json()
    assert not (tmp_path / "out").exists()


def test_a_search_is_not_tuned(bands: Path, tmp_path: Path) -> None:
    sweep = study(bands, attention=None, sweep="se", values=["reduction=4,8"])
    with pytest.raises(RequestError, match="--search chooses options and --tune recipe values"):
        search(sweep, SearchSettings(), tmp_path, CPU, HERE, Notes())
