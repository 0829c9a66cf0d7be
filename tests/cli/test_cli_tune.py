"""--tune on the command line: killed in the middle, resumed, and refused."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import FOVEATE, foveate

DIGITS = ["--data", "digits", "--backbone", "cifar_resnet8", "--device", "cpu", "--threads", "1"]
STUDY = [*DIGITS, "--attention", "none,se", "--seeds", "1", "--epochs", "1", "--set", "batch_size=128"]
TUNED = ["compare", *STUDY, "--tune", "2", "--out", "out"]


@pytest.mark.full
def test_a_tuning_that_is_killed_goes_on_with_the_same_result(
    tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    trials = tmp_path / "out" / "search"
    process = subprocess.Popen(
        [*FOVEATE, *TUNED],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while not list(trials.glob("*/trial.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    ended = {path: path.stat().st_mtime_ns for path in trials.glob("*/trial.json")}
    assert 1 <= len(ended) < 4
    assert not (tmp_path / "out" / "study.json").exists()

    resumed = foveate(*TUNED, "--json", "resumed.json", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "se takes learning rate" in resumed.stdout
    assert all(path.stat().st_mtime_ns == written for path, written in ended.items())

    (tmp_path / "whole").mkdir()
    assert in_process(*TUNED, "--json", "whole.json", folder=tmp_path / "whole") == 0
    first, second = (
        json.loads(path.read_text()) for path in (tmp_path / "resumed.json", tmp_path / "whole/whole.json")
    )
    assert first["study"]["tuning"] == second["study"]["tuning"]
    assert [len(one["trials"]) for one in first["study"]["tuning"]["candidates"]] == [2, 2]
    assert [row["accuracy"] for row in first["rows"]] == [row["accuracy"] for row in second["rows"]]

    capsys.readouterr()
    assert in_process(*TUNED, "--tune", "3", folder=tmp_path) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "out holds another study: tune 2 trials instead of 3 trials" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tune", "0"], "tune = 0: expected the number of trials of each candidate"),
        (["--tune-option", "reduction=4"], "give --tune 8, too"),
        (["--tune", "2", "--tune-option", "reduction=0"], "se(reduction=0) on cifar_resnet8"),
    ],
)
def test_what_cannot_be_tuned_leaves_nothing_behind(
    tmp_path: Path,
    in_process: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert in_process("compare", *STUDY, *arguments, folder=tmp_path) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
