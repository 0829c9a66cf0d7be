import io
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from foveate.errors import RequestError, WorkError
from foveate.evaluation.power import detectable_difference
from foveate.records.metric import DETECTION
from foveate.report.plan.console import duration, plan_table
from foveate.report.study.build import build_report
from foveate.studies.compare import compare
from foveate.studies.engine.family import with_family
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.rehearsal import RunTimes, shortened
from foveate.studies.plan import detectable, plan
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec

CPU = Machine("cpu", threads=1)


@pytest.fixture(autouse=True)
def briefly_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time a step as seldom as can be."""
    monkeypatch.setattr("foveate.studies.engine.rehearsal.SECONDS", 0.0)


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
    reported: list[list[str]] = []

    def report(folder: Path) -> None:
        reported.append([row.attention for row in build_report(folder).rows])

    before = plan(spec, out, CPU, build_report=report)
    assert reported == [["none", "se"]]
    assert not out.exists()  # nothing is written
    assert (before.runs, before.finished) == (4, 0)
    assert [row.steps for row in before.candidates] == [2 * (54 // 16)] * 2
    assert all(row.step_ms > 0 for row in before.candidates)
    runs = sum(row.runs * row.run_seconds for row in before.candidates)
    assert before.seconds == pytest.approx(runs)
    other = before.other_seconds
    assert other is not None
    assert min(other.start, other.cost, other.report) > 0
    assert before.total_seconds == pytest.approx(before.seconds + other.total)
    compare(spec, out, CPU)
    weights = sum(path.stat().st_size for path in out.glob("runs/*/weights.safetensors"))
    assert before.disk.weights == pytest.approx(weights, rel=0.05)
    after = plan(spec, out, CPU)
    assert (after.finished, after.seconds) == (4, 0)
    assert after.other_seconds is not None
    assert after.other_seconds.processes == 0
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


@pytest.mark.parametrize(("family", "comparisons"), [(None, 2), ("baseline", 2), ("all", 3)])
def test_the_level_is_shared_by_the_comparisons_of_the_family(
    bands: Path, tmp_path: Path, family: str | None, comparisons: int
) -> None:
    spec = with_family(study(bands, attention="none,se,eca", family=family), tmp_path)
    (row,) = detectable(spec, None, 0.01)
    assert row.comparisons == comparisons
    assert row.difference == pytest.approx(detectable_difference(0.01, 2, 0.05 / comparisons, 0.8))


def test_a_spread_can_be_given_and_planned_comparisons_share_the_level(bands: Path) -> None:
    spec = study(bands, attention=None, sweep="se", values=["reduction=4,16"], seeds=5)
    (row,) = detectable(spec, None, 0.01)
    assert (row.spread, row.measured, row.comparisons) == (0.01, False, 2)
    assert row.difference == pytest.approx(detectable_difference(0.01, 5, 0.05 / 2, 0.8))
    unknown = detectable(spec, None, None)
    assert [one.spread for one in unknown] == [0.001, 0.003, 0.01]


@pytest.mark.usefixtures("forked_workers")
def test_jobs_share_the_time(bands: Path, tmp_path: Path) -> None:
    planned = plan(study(bands), tmp_path, CPU, jobs=2)
    first, second = (row.run_seconds for row in planned.candidates)
    # Seed 0 of both begins; whichever ends first is followed by seed 1 of the first, then of the second.
    ends = [min(first, second) + first, max(first, second)]
    assert planned.seconds == pytest.approx(max(max(ends), min(ends) + second))
    assert planned.other_seconds is not None
    assert planned.other_seconds.processes > 0


def test_a_plan_can_be_read_at_80_columns(bands: Path, tmp_path: Path) -> None:
    planned = plan(study(bands), tmp_path, CPU).model_copy(update={"busy": False})
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(plan_table(planned))
    text = console.export_text()
    assert "4 runs to go: about" in text
    assert "MB of weights" in text
    assert "would likely be detected" in " ".join(text.split())
    assert "adjusted for 1 comparison with the baseline." in " ".join(text.split())
    changes: list[tuple[dict[str, Any], str]] = [
        ({"disk": planned.disk.model_copy(update={"free": 0})}, "more than is free"),
        ({"detectable": tuple(detectable(study(bands, seeds=1), None, None))}, "give --seeds 3 or more"),
        ({"tested": "all"}, "1 comparison (all pairs)."),
        ({"tested": "planned"}, "1 comparison (those planned)."),
        ({"busy": True}, "Measured under load"),
        ({"task": DETECTION}, "If differences in mAP between seeds spread by 0.10 points (assumed)"),
        ({"recipe": planned.recipe | {"patience": 2}}, "the recipe's patience"),
    ]
    for change, words in changes:
        assert words not in " ".join(text.split())
        console.print(plan_table(planned.model_copy(update=change)))
        assert words in " ".join(console.export_text().split())
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


def test_a_run_takes_its_epochs_its_test_and_the_rest() -> None:
    times = RunTimes(step=0.5, image=0.01, epoch=2.0, rest=7.0, cpu_share=None)
    assert times.of_epoch(steps=10, validation=100) == pytest.approx(5 + 1 + 2)
    assert times.of_run(epochs=3, steps=10, validation=100, test=200) == pytest.approx(3 * 8 + 2 + 7)


def test_a_loss_that_is_not_finite_is_found_by_the_plan(bands: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="loss is not a finite number"):
        plan(study(bands, {"learning_rate": 1e30, "warmup_ratio": 0.0}), tmp_path, CPU)


def test_controls_that_were_matched_are_not_matched_again(bands: Path, tmp_path: Path) -> None:
    planned = plan(study(bands, control="parameters", attention="none,se"), tmp_path, CPU)
    labels = [row.attention for row in planned.candidates]
    assert labels[:2] == ["none", "se"]
    assert len(labels) == 3
    assert shortened(study(bands, control="latency"), jobs=1).control is None


def test_a_plan_says_how_many_seeds_a_decision_takes(bands: Path, tmp_path: Path) -> None:
    spec = study(bands, until_decided=True, max_seeds=8, seeds=3, margin=20.0, population="these-images")
    planned = plan(spec, tmp_path, CPU, spread=0.05)
    none, plain = planned.until_decided
    assert (none.difference, plain.difference) == (0.0, 0.4)
    assert (none.spread, none.measured, none.max_seeds, none.margin) == (0.05, False, 8, 0.2)
    assert 3 <= none.low <= none.median <= none.high <= 8
    assert none.decided > 0.95
    assert none.seconds == pytest.approx(none.median * sum(row.run_seconds for row in planned.candidates))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(plan_table(planned))
    text = " ".join(console.export_text().split())
    assert f"probably {none.median} seeds; eight in ten take {none.low} to {none.high}" in text
    assert "The choice of the test images is not counted" in text
    assert not tmp_path.joinpath("study.json").exists()
