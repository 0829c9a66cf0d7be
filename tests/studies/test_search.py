import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from foveate.errors import DiskError, RequestError, WorkError
from foveate.report.study.build import build_report
from foveate.studies.compare import compare
from foveate.studies.engine.executors.processes import HERE, LocalProcesses
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.watch import Watch
from foveate.studies.search import search
from foveate.studies.spec.making import make_study
from foveate.studies.spec.request import SearchSettings
from foveate.studies.spec.study import StudySpec

CPU = Machine("cpu", threads=1)


class Trials(Watch):
    """Writes down the trials that it is told of."""

    def __init__(self) -> None:
        self.done: list[tuple[str, float, str]] = []
        self.failures: list[str] = []

    def finished(
        self, run: str, accuracy: float, seconds: float, waited: float | None = None, part: str = "test"
    ) -> None:
        self.done.append((run, accuracy, part))

    def failed(self, run: str, message: str) -> None:
        self.failures.append(message)


def sweep(bands: Path, changes: dict[str, Any] | None = None, **settings: Any) -> StudySpec:
    settings = {
        "data": str(bands),
        "backbone": "cifar_resnet8",
        "sweep": "se",
        "values": ["reduction=4,8,16", "identity_init=false,true"],
        "seeds": 2,
    } | settings
    return make_study(settings, {"epochs": 2, "batch_size": 16, "augmentation": ("crop",)} | (changes or {}))


def test_a_search_ends_in_a_study_of_the_best_that_was_found(bands: Path, tmp_path: Path) -> None:
    watch = Trials()
    study, data = search(sweep(bands), SearchSettings(trials=4), tmp_path, CPU, HERE, watch)
    found = study.design.search
    assert found is not None
    assert len(found.trials) == 4 == len({tuple(sorted(trial.values.items())) for trial in found.trials})
    assert found.trials[0].values == {"reduction": "16", "identity_init": "False"}  # as it is comes first
    assert {part for _, _, part in watch.done} == {"validation"}
    best = max((one for one in found.trials if one.state == "complete"), key=lambda one: one.accuracy or 0)
    chosen = next(one for one in study.attention if one.label == found.best)
    assert str(chosen.identity_init) == best.values["identity_init"]
    assert str(chosen.options.get("reduction", 16)) == best.values["reduction"]
    assert [one.label for one in study.attention][:2] == ["none", "se"]
    assert len(list((tmp_path / "search").glob("*/trial.json"))) == 4
    assert not list((tmp_path / "search").glob("*/result.json"))  # nothing was tested
    compare(study, tmp_path, CPU, data=data)
    summary = build_report(tmp_path).to_json()
    assert summary["study"]["design"]["search"]["best"] == found.best
    assert len(summary["rows"]) == len(study.attention)


def test_a_search_goes_on_where_it_was_stopped(bands: Path, tmp_path: Path) -> None:
    first, _ = search(sweep(bands), SearchSettings(trials=2), tmp_path, CPU, HERE, Trials())
    watch = Trials()
    second, _ = search(sweep(bands), SearchSettings(trials=3), tmp_path, CPU, HERE, watch)
    assert len(watch.done) == 1
    assert first.design.search is not None
    assert second.design.search is not None
    assert second.design.search.trials[:2] == first.design.search.trials
    other, _ = search(sweep(bands, {"epochs": 1}), SearchSettings(trials=1), tmp_path, CPU, HERE, Trials())
    assert other.design.search is not None
    assert [trial.epochs for trial in other.design.search.trials] == [1]  # another recipe, another search


def test_more_trials_than_combinations_try_each_once(bands: Path, tmp_path: Path) -> None:
    study = sweep(bands, {"epochs": 1}, values=["reduction=8,16"])
    done, _ = search(study, SearchSettings(trials=9), tmp_path, CPU, HERE, Trials())
    assert done.design.search is not None
    assert sorted(trial.values["reduction"] for trial in done.design.search.trials) == ["16", "8"]


@pytest.mark.usefixtures("forked_workers")
def test_trials_in_processes_share_a_storage(bands: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    study = sweep(bands, {"epochs": 1})
    done, _ = search(
        study, SearchSettings(trials=3, storage=url), tmp_path / "out", CPU, LocalProcesses(2), Trials()
    )
    assert done.design.search is not None
    assert len(done.design.search.trials) == 3  # none asks for what another is at
    with sqlite3.connect(tmp_path / "elsewhere.db") as database:
        assert database.execute("select count(*) from trials").fetchone()[0] >= 3
    assert not (tmp_path / "out" / "search.db").exists()


def test_a_hopeless_trial_is_ended_early(
    bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna

    class Hopeless(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return trial.number == 1

    monkeypatch.setattr(optuna.pruners, "MedianPruner", lambda **_: Hopeless())
    study = sweep(bands, {"epochs": 3}, values=["reduction=8,16"])
    done, _ = search(study, SearchSettings(trials=2), tmp_path, CPU, HERE, Trials())
    assert done.design.search is not None
    assert [(one.state, one.epochs) for one in done.design.search.trials] == [("complete", 3), ("pruned", 1)]
    records = [json.loads(path.read_text()) for path in (tmp_path / "search").glob("*/trial.json")]
    assert sorted(len(record["accuracies"]) for record in records) == [1, 3]


def test_only_a_sweep_is_searched_and_only_in_a_storage_that_opens(bands: Path, tmp_path: Path) -> None:
    ablation = sweep(bands, sweep=None, values=None, ablate="dmsca")
    with pytest.raises(RequestError, match="--search belongs to sweep"):
        search(ablation, SearchSettings(), tmp_path, CPU, HERE, Watch())
    for url in ("nowhere://x", "sqlite:///:memory:"):
        with pytest.raises(RequestError, match=f"--storage {url} cannot be used"):
            search(sweep(bands), SearchSettings(storage=url), tmp_path, CPU, HERE, Watch())
    with pytest.raises(RequestError) as refused:
        search(
            sweep(bands),
            SearchSettings(storage="nowhere://me:secret@x/y?password=p"),
            tmp_path,
            CPU,
            HERE,
            Watch(),
        )
    assert "secret" not in str(refused.value)
    assert "password" not in str(refused.value)


def test_what_failed_is_tried_again_by_the_next_search(
    bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: Any) -> None:
        raise WorkError("out of memory")

    study = sweep(bands, {"epochs": 1}, values=["reduction=8,16"])
    watch = Trials()
    with monkeypatch.context() as patch:
        patch.setattr("foveate.studies.trial_runs.train", out_of_memory)
        with pytest.raises(WorkError, match="none of 2 trials was completed"):
            search(study, SearchSettings(trials=2), tmp_path, CPU, HERE, watch)
    assert watch.failures == ["out of memory"] * 2
    done, _ = search(study, SearchSettings(trials=2), tmp_path, CPU, HERE, watch)
    assert done.design.search is not None
    assert [trial.state for trial in done.design.search.trials] == ["complete"] * 2


def test_a_full_disk_ends_the_search(bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise DiskError("no space left")

    monkeypatch.setattr("foveate.studies.trial_runs.train", full)
    watch = Trials()
    with pytest.raises(DiskError, match="no space left"):
        search(sweep(bands), SearchSettings(trials=3), tmp_path, CPU, HERE, watch)
    assert watch.failures == []
