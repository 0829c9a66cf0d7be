import io
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from foveate.errors import RequestError
from foveate.evaluation.statistics import detectable_difference
from foveate.report.plan.console import duration, plan_table
from foveate.report.study.build import build_report
from foveate.studies.compare import compare
from foveate.studies.engine.run import Machine
from foveate.studies.plan import plan
from foveate.studies.spec.study import StudySpec, make_study

CPU = Machine("cpu", threads=1)


@pytest.fixture(autouse=True)
def briefly_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time a step as seldom as can be."""
    monkeypatch.setattr("foveate.studies.plan.SECONDS", 0.0)


def study(bands: Path, changes: dict[str, Any] | None = None, **settings: Any) -> StudySpec:
    settings = {
        "data": str(bands),
        "backbone": "cifar_resnet8",
        "attention": "none,se",
        "seeds": 2,
    } | settings
    return make_study(settings, {"epochs": 2, "batch_size": 16, "augmentation": ("crop",)} | (changes or {}))


def test_a_plan_counts_what_the_study_then_does(bands: Path, tmp_path: Path) -> None:
    spec, out = study(bands), tmp_path / "out"
    before = plan(spec, out, CPU)
    assert not out.exists()  # nothing is written
    assert (before.runs, before.finished) == (4, 0)
    assert [row.steps for row in before.candidates] == [2 * (54 // 16)] * 2
    assert all(row.step_ms > 0 for row in before.candidates)
    runs = sum(row.runs * row.run_seconds for row in before.candidates)
    assert before.seconds == pytest.approx(runs)
    compare(spec, out, CPU)
    weights = sum(path.stat().st_size for path in out.glob("runs/*/weights.safetensors"))
    assert before.disk.weights == pytest.approx(weights, rel=0.05)
    after = plan(spec, out, CPU)
    assert (after.finished, after.seconds) == (4, 0)
    assert [row.left for row in after.candidates] == [0, 0]


def test_a_plan_takes_the_spread_that_was_measured(bands: Path, tmp_path: Path) -> None:
    spec = study(bands, {"epochs": 1}, seeds=3)
    compare(spec, tmp_path, CPU)
    for path in tmp_path.glob("runs/*/result.json"):
        result = json.loads(path.read_text())
        gain = {0: 0.01, 1: 0.02, 2: 0.06}[result["spec"]["seed"]] * (
            result["spec"]["attention"]["label"] == "se"
        )
        result["test"]["accuracy"] = 0.5 + gain
        path.write_text(json.dumps(result))
    (row,) = plan(spec, tmp_path, CPU).detectable
    assert row.measured
    assert row.spread == pytest.approx(statistics.stdev([0.01, 0.02, 0.06]))
    assert row.comparisons == 1
    assert row.difference == pytest.approx(detectable_difference(row.spread, 3, 0.05, 0.8))


def test_a_spread_can_be_given_and_planned_comparisons_share_the_level(bands: Path, tmp_path: Path) -> None:
    spec = study(bands, attention=None, sweep="se", values=["reduction=4,16"], seeds=5)
    (row,) = plan(spec, tmp_path, CPU, spread=0.01).detectable
    assert (row.spread, row.measured, row.comparisons) == (0.01, False, 2)
    assert row.difference == pytest.approx(detectable_difference(0.01, 5, 0.05 / 2, 0.8))
    unknown = plan(spec, tmp_path, CPU).detectable
    assert [one.spread for one in unknown] == [0.001, 0.003, 0.01]


def test_jobs_share_the_time(bands: Path, tmp_path: Path) -> None:
    planned = plan(study(bands), tmp_path, CPU, jobs=2)
    runs = sum(row.runs * row.run_seconds for row in planned.candidates)
    assert planned.seconds == pytest.approx(runs / 2)


def test_a_plan_can_be_read_at_80_columns(bands: Path, tmp_path: Path) -> None:
    planned = plan(study(bands), tmp_path, CPU)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(plan_table(planned))
    text = console.export_text()
    assert "4 runs to go: about" in text
    assert "MB of weights" in text
    assert "would likely be detected" in " ".join(text.split())
    console.print(
        plan_table(planned.model_copy(update={"disk": planned.disk.model_copy(update={"free": 0})}))
    )
    assert "more than is free" in console.export_text()
    one = plan(study(bands, seeds=1), tmp_path, CPU)
    console.print(plan_table(one))
    assert "give --seeds 3 or more" in console.export_text()
    json.dumps(planned.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (90, "1.5 min"), (5400, "1.5 h"), (200_000, "2.3 days")],
)
def test_times_are_written_as_a_person_says_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_cannot_be_carried_out_is_said_by_the_plan(bands: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="batch_size 64 is larger than the training part of 54 images"):
        plan(study(bands, {"batch_size": 64}), tmp_path, CPU)


def test_planning_leaves_the_random_numbers_of_runs_alone(bands: Path, tmp_path: Path) -> None:
    spec = study(bands, seeds=1, attention="none")
    plan(spec, tmp_path, CPU)
    compare(spec, tmp_path / "planned", CPU)
    torch.manual_seed(1)
    compare(spec, tmp_path / "unplanned", CPU)
    first, second = (build_report(tmp_path / name).to_json() for name in ("planned", "unplanned"))
    assert first["rows"][0]["loss"] == second["rows"][0]["loss"]
