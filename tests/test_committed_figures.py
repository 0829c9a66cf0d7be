"""Figures that are kept and compared: what is worse, what is not compared, and what a run writes."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from foveate.errors import RequestError

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import as a script does that lies in the folder."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


@pytest.fixture
def committed() -> ModuleType:
    return importlib.import_module("committed")


ENVIRONMENT = {"processor": "A (tm) B", "cores": 2, "threads": 2, "accelerator": "cpu"}
ENVIRONMENT |= {"torch": "2.15.0", "timm": "1.0.31", "python": "3.11.7"}


def run_of(ratio: float, measures: str = "price", interval: Any = None, **changed: Any) -> dict[str, Any]:
    """The record of a run with one figure."""
    figure = {"name": "a over b", "ratio": ratio, "interval": interval, "measures": measures}
    where = ENVIRONMENT | changed
    head = {"benchmark": "fit_throughput", "environment": where, "command": "c", "date": "2026-01-02"}
    return head | {"figures": [figure]}


@pytest.mark.parametrize(
    ("measures", "kept", "now", "worse"),
    [
        ("price", (1.40, (1.38, 1.42)), (1.48, (1.47, 1.50)), True),  # 42 % and a tenth are 46.2 %
        ("price", (1.40, (1.38, 1.42)), (1.48, (1.46, 1.50)), False),
        ("price", (1.10, (1.10, 1.10)), (1.125, (1.121, 1.13)), True),  # a tenth of 10 % would be 1 %
        ("price", (1.10, (1.10, 1.10)), (1.125, (1.119, 1.13)), False),
        ("price", (0.97, (0.96, 0.98)), (1.01, (1.001, 1.02)), True),  # of less than nothing it is 2 %, too
        ("price", (0.97, (0.96, 0.98)), (1.01, (0.999, 1.02)), False),
        ("price", (1.40, None), (1.45, None), True),
        ("price", (1.40, None), (1.43, None), False),
        ("time", (0.60, (0.58, 0.62)), (0.70, (0.69, 0.71)), True),  # 0.62 and a tenth are 0.682
        ("time", (0.60, (0.58, 0.62)), (0.70, (0.68, 0.71)), False),
        ("speed", (0.90, (0.88, 0.92)), (0.78, (0.76, 0.79)), True),  # 0.88 less a tenth is 0.792
        ("speed", (0.90, (0.88, 0.92)), (0.78, (0.76, 0.80)), False),
        ("speed", (0.90, (0.88, 0.92)), (1.50, (1.4, 1.6)), False),
    ],
)
def test_worse_is_what_lies_beyond_both_intervals_and_a_tenth(
    measures: str, kept: Any, now: Any, worse: bool, committed: ModuleType, tmp_path: Path
) -> None:
    committed.keep([run_of(kept[0], measures, kept[1])], tmp_path)
    found = committed.compare([run_of(now[0], measures, now[1])], tmp_path)
    assert (len(found.worse), found.skipped, found.compared) == (int(worse), [], 1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"processor": "C"}, "no figures are kept for this kind of machine (c-2-cores.json)"),
        ({"cores": 4}, "no figures are kept for this kind of machine (a-tm-b-4-cores.json)"),
        ({"accelerator": "NVIDIA H200"}, "no figures are kept for this kind of machine (nvidia-h200.json)"),
        ({"threads": 1}, "it ran with threads 1 and not 2"),
        ({"torch": "2.16.0"}, "it ran with torch 2.16 and not 2.15"),
        ({"numba": "0.68.1"}, "it ran with numba 0.68 and not none"),
    ],
)
def test_another_machine_or_version_is_said_and_no_failure(
    changed: dict[str, Any], said: str, committed: ModuleType, tmp_path: Path
) -> None:
    committed.keep([run_of(1.1)], tmp_path)
    found = committed.compare([run_of(9.0, **changed)], tmp_path)
    assert found == committed.Outcome([], [f"fit_throughput: not compared: {said}"], 0)


def test_a_patch_release_is_compared(committed: ModuleType, tmp_path: Path) -> None:
    committed.keep([run_of(1.1)], tmp_path)
    found = committed.compare([run_of(9.0, torch="2.15.1")], tmp_path)
    assert found.worse == ["fit_throughput: a over b: 9.000; kept is 1.100"]


def test_what_a_run_did_not_measure_is_said_and_other_benchmarks_stay(
    committed: ModuleType, tmp_path: Path
) -> None:
    both = run_of(1.1)
    both["figures"] = [both["figures"][0], both["figures"][0] | {"name": "c over d"}]
    other = run_of(0.5) | {"benchmark": "corruption_price"}
    committed.keep([both], tmp_path)
    assert committed.keep([other], tmp_path) == [tmp_path / "a-tm-b-2-cores.json"]
    found = committed.compare([run_of(1.1), other], tmp_path)
    assert found.skipped == ["fit_throughput: 1 of 2 kept figures were not measured in this run"]
    assert found.compared == 2


def test_the_exit_status_is_1_where_a_figure_is_worse(
    committed: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, kept = tmp_path / "run", ["--folder", str(tmp_path / "kept")]
    run.mkdir()
    (run / "fit.json").write_text(json.dumps(run_of(1.1)))
    assert committed.main(["check", str(run), *kept]) == 0
    assert "not compared: no figures are kept" in capsys.readouterr().out
    assert committed.main(["keep", str(run), *kept]) == 0
    assert committed.main(["check", str(run), *kept]) == 0
    (run / "fit.json").write_text(json.dumps(run_of(1.2)))
    assert committed.main(["check", str(run / "fit.json"), *kept]) == 1
    assert "worse: fit_throughput: a over b: 1.200; kept is 1.100" in capsys.readouterr().out
    (run / "notes.json").write_text("[]")
    assert committed.main(["check", str(run), *kept]) == 2
    with pytest.raises(RequestError, match="expected a file that a benchmark wrote with --json"):
        committed.read_records(tmp_path / "nothing")
