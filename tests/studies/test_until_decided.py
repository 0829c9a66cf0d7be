"""Studies that add seeds until they are decided: the looks, resuming, budgets, and looks made by hand."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foveate.errors import RequestError
from foveate.report.study.build import build_report
from foveate.storage.folder import FolderStorage
from foveate.storage.lease import take
from foveate.studies.compare import compare
from foveate.studies.engine import holding
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec

CPU = Machine("cpu", threads=1)
SETTINGS: dict[str, Any] = {
    "backbone": "cifar_resnet8",
    "attention": "none,se",
    "seeds": 2,
    "until_decided": True,
    "max_seeds": 6,
    "population": "these-images",
    "margin": 90.0,
    "spending": "pocock",
}
RECIPE: dict[str, Any] = {"epochs": 3, "batch_size": 16, "augmentation": (), "learning_rate": 0.2}
KILLED = """
import json, os, signal, sys
from pathlib import Path
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.making import make_study

class Kills(Watch):
    runs = 0
    def finished(self, *_, **__):
        self.runs += 1
        if self.runs == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

study = make_study(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
compare(study, Path(sys.argv[3]), Machine("cpu", threads=1), watch=Kills())
"""
"""A study that is killed when so many of its runs have finished."""


def bands_study(bands: Path, **settings: Any) -> StudySpec:
    keys = {"data": str(bands)} | SETTINGS | settings
    return make_study({key: value for key, value in keys.items() if value is not None}, RECIPE)


class Log(Watch):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[str] = []
        self.failures: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def finished(self, run: str, *_: Any) -> None:
        self.done.append(run)

    def failed(self, run: str, message: str) -> None:
        self.failures.append(run)


def study_json(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "study.json").read_text())
    return content


def with_runs_of(out: Path, here: Path, *, seeds: int) -> Path:
    """A folder that has the finished runs of the first seeds of another, and nothing else."""
    for run in study_json(out)["runs"]:
        if run["seed"] < seeds:
            shutil.copytree(out / "runs" / run["id"], here / "runs" / run["id"])
    return here


@pytest.fixture(scope="module")
def decided(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Log]:
    out, log = tmp_path_factory.mktemp("decided") / "out", Log()
    compare(bands_study(bands), out, CPU, watch=log)
    return out, log


def test_seeds_are_added_until_the_comparison_is_decided(decided: tuple[Path, Log]) -> None:
    out, log = decided
    record = study_json(out)
    plan, seeds = record["sequential"], len(record["seeds"])
    assert 2 < seeds <= 6
    assert log.done == [f"{name}, seed {seed}" for seed in range(seeds) for name in ("baseline", "se")]
    assert (plan["first"], plan["seeds"], plan["stopped"]) == (2, [0, 1, 2, 3, 4, 5], "decided")
    assert [level["pairs"] for level in plan["levels"]] == [2, 3, 4, 5, 6]
    assert len([note for note in log.notes if note.startswith("look ")]) == seeds - 1
    summary = build_report(out).to_json()
    (course,) = summary["sequential"]
    (test,) = summary["tests"]
    assert course["decided_at"] == seeds
    assert course["outcome"] == test["outcome"] == "equivalent"
    last = course["looks"][-1]
    assert last["equivalence_p"] < last["level_equivalent"]
    assert all(look["outcome"] == "inconclusive" for look in course["looks"][:-1])
    adjusted = last["equivalence_p"] * 0.05 / last["level_equivalent"]
    assert test["these_images"]["equivalence_p"] == pytest.approx(adjusted)


def test_the_same_command_again_trains_and_changes_nothing(decided: tuple[Path, Log], bands: Path) -> None:
    out, log = decided[0], Log()
    before = (out / "study.json").read_bytes()
    compare(bands_study(bands), out, CPU, watch=log)
    assert log.done == []
    assert (out / "study.json").read_bytes() == before


@pytest.mark.full
@pytest.mark.slow
def test_a_study_that_was_killed_comes_to_the_same_decision(
    decided: tuple[Path, Log], bands: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", Log()
    settings = json.dumps(SETTINGS | {"data": str(bands)})
    process = subprocess.run(
        [sys.executable, "-c", KILLED, settings, json.dumps(RECIPE), str(out), "5"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert len(list(out.glob("runs/*/result.json"))) == 5  # in the middle of the round of the third seed
    compare(bands_study(bands), out, CPU, watch=log)
    whole, resumed = study_json(decided[0]), study_json(out)
    assert log.done[0] == "se, seed 2"
    for key in ("sequential", "seeds", "runs"):
        assert resumed[key] == whole[key]
    assert build_report(out).to_json()["sequential"] == build_report(decided[0]).to_json()["sequential"]


def test_the_hours_end_it_and_the_same_command_goes_on(
    decided: tuple[Path, Log], bands: Path, tmp_path: Path
) -> None:
    out, log = with_runs_of(decided[0], tmp_path / "out", seeds=2), Log()
    compare(bands_study(bands, max_hours=1e-6), out, CPU, watch=log)
    assert log.done == []
    assert study_json(out)["sequential"]["stopped"] == "max-hours"
    assert study_json(out)["seeds"] == [0, 1]
    assert any("--max-hours" in sentence for sentence in build_report(out).verdict)
    with_runs_of(decided[0], tmp_path / "more", seeds=6)
    shutil.copytree(tmp_path / "more/runs", out / "runs", dirs_exist_ok=True)
    compare(bands_study(bands), out, CPU, watch=log)
    assert log.done == []
    assert study_json(out)["sequential"] == study_json(decided[0])["sequential"]
    assert study_json(out)["looks"]["earlier"] == []  # its looks were planned


def test_a_spent_budget_is_named_and_a_plan_is_not_changed(
    decided: tuple[Path, Log], bands: Path, tmp_path: Path
) -> None:
    out, log = with_runs_of(decided[0], tmp_path / "out", seeds=2), Log()
    study = bands_study(bands, max_seeds=2, margin=0.01)
    compare(study, out, CPU, watch=log)
    assert log.done == []
    assert study_json(out)["sequential"]["stopped"] == "max-seeds"
    sentences = build_report(out).verdict
    assert "The budget of 2 seeds is spent." in sentences
    assert "Still open: se against the baseline." in sentences
    for changes, said in (
        ({"max_seeds": 6}, "max_seeds 2 instead of 6"),
        ({"seeds": 3, "max_seeds": None}, r"first look at seeds \(0, 1\)"),
        ({"spending": "obrien-fleming"}, "spending pocock instead of obrien-fleming"),
        ({"margin": 1.0}, "margin 0.01 points instead of 1.00 points"),
        ({"attention": "none,se,eca"}, "for other candidates"),
        ({"until_decided": False, "spending": None, "max_seeds": None}, "--until-decided"),
    ):
        with pytest.raises(RequestError, match=said):
            compare(bands_study(bands, **({"max_seeds": 2, "margin": 0.01} | changes)), out, CPU)


@pytest.mark.full
def test_a_run_that_fails_makes_no_pair_and_the_study_goes_on(
    decided: tuple[Path, Log], bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, log = with_runs_of(decided[0], tmp_path / "out", seeds=2), Log()
    run = next(
        run["id"] for run in study_json(decided[0])["runs"] if (run["attention"], run["seed"]) == ("se", 2)
    )
    (out / "runs" / run).mkdir(parents=True)
    monkeypatch.setattr(holding, "PATIENCE", 0.0)
    with take(FolderStorage(out / "runs" / run)):  # as of another process
        compare(bands_study(bands, max_seeds=4), out, CPU, watch=log)
    assert log.failures == ["se, seed 2"]
    assert log.done[:3] == ["baseline, seed 2", "baseline, seed 3", "se, seed 3"]
    (course,) = build_report(out).courses
    assert [look.pairs for look in course.looks] == [2, 3]
    assert course.seeds == (0, 1, 3)


def test_seeds_added_by_hand_after_a_report_are_looks(
    decided: tuple[Path, Log], bands: Path, tmp_path: Path
) -> None:
    out = with_runs_of(decided[0], tmp_path / "out", seeds=3)
    by_hand = {"until_decided": False, "max_seeds": None, "spending": None}
    compare(bands_study(bands, **by_hand), out, CPU)
    assert study_json(out)["looks"] == {"since_first": True, "earlier": []}
    first = build_report(out)
    compare(bands_study(bands, **by_hand), out, CPU)
    assert study_json(out)["looks"]["earlier"] == []  # nothing was added
    compare(bands_study(bands, **by_hand, seeds=3), out, CPU)
    assert study_json(out)["looks"]["earlier"] == [{"runs": {"none": [0, 1], "se": [0, 1]}}]
    summary = build_report(out)
    (test,) = summary.comparisons
    assert not any("looks" in sentence for sentence in first.verdict)
    assert any("adjusted for 2 looks (2 and 3 seeds)" in sentence for sentence in summary.verdict)
    assert test.these_images is not None
    assert test.test.p is not None
    assert test.p_adjusted is not None
    assert test.p_adjusted > test.test.p
    record = study_json(out)
    record["looks"]["since_first"] = False  # as where an earlier version had begun it
    (out / "study.json").write_text(json.dumps(record))
    assert any("not for looks before these" in sentence for sentence in build_report(out).verdict)


def test_a_report_that_was_read_before_the_plan_is_a_look(
    decided: tuple[Path, Log], bands: Path, tmp_path: Path
) -> None:
    out = with_runs_of(decided[0], tmp_path / "out", seeds=2)
    compare(bands_study(bands, until_decided=False, max_seeds=None, spending=None), out, CPU)
    build_report(out)
    compare(bands_study(bands), out, CPU)
    assert study_json(out)["looks"]["earlier"] == [{"runs": {"none": [0, 1], "se": [0, 1]}}]
    build_report(out)
    assert "The report was read before this plan was made" in (out / "report" / "index.html").read_text()


def test_a_plan_takes_no_other_comparisons(decided: tuple[Path, Log], bands: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(decided[0], out)
    before = (out / "study.json").read_text()
    with pytest.raises(RequestError, match="is for 1 comparison, and this command asks for 2"):
        compare(bands_study(bands, control="parameters"), out, CPU)
    with pytest.raises(RequestError, match="adjust holm instead of bonferroni"):
        compare(bands_study(bands, adjust="bonferroni"), out, CPU)
    assert (out / "study.json").read_text() == before


def test_records_that_were_changed_after_the_decision_are_named(
    decided: tuple[Path, Log], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(decided[0], out)
    record = study_json(out)
    record["statistics"]["margin"] = 0.0001
    (out / "study.json").write_text(json.dumps(record))
    verdict = " ".join(build_report(out).verdict)
    assert (
        "All was decided when this study ended; by its records of now se against the baseline is" in verdict
    )
    assert "All is decided" not in verdict
