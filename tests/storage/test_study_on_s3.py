"""A whole study behind a URL: killed on one machine, resumed on another, read on a third."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from foveate.storage.connect import open_remote
from foveate.storage.lease import take
from foveate.storage.remote import RemoteStorage
from storage.conftest import Server

SMALL = "--train-fraction 0.1 --epochs 3 --seeds 1 --device cpu --threads 1 --jobs 1".split()  # noqa: SIM905
STUDY = ["--data", "digits", "--backbone", "cifar_resnet8", "--attention", "none,se", *SMALL]
KILLED = """
import os, signal, sys
from foveate.cli import main
from foveate.cli.progress import ProgressWatch
from foveate.storage.connect import open_remote
from foveate.studies.engine import holding
from pathlib import Path

holding.COPIED_EVERY = 0.1
far, step = open_remote(sys.argv[-1]), ProgressWatch.step

def killed_in_the_third_epoch(self, title, epoch, *position):
    step(self, title, epoch, *position)
    while epoch == 3:
        if any(entry.name.endswith("/last.ckpt") for entry in far.entries("runs")):
            os.kill(os.getpid(), signal.SIGKILL)

ProgressWatch.step = killed_in_the_third_epoch
main.main()
"""


def run_json(text: bytes | None) -> dict[str, Any]:
    assert text is not None
    content: dict[str, Any] = json.loads(text)
    return content


@pytest.fixture
def killed(bucket: str, tmp_path: Path) -> RemoteStorage:
    """A study behind a URL whose first run was killed in its third epoch."""
    url = f"{bucket}/study"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "compare", *STUDY, "--out", url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return open_remote(url)


@pytest.mark.full
@pytest.mark.slow
def test_killed_here_resumed_elsewhere_and_read_by_a_third(
    killed: RemoteStorage,
    tmp_path: Path,
    in_process: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = killed.url
    names = {entry.name.rpartition("/")[2] for entry in killed.entries()}
    assert {"study.json", "cost.json", "last.ckpt", ".lease-1"} <= names
    assert "result.json" not in names
    (checkpoint,) = [entry.name for entry in killed.entries() if entry.name.endswith("/last.ckpt")]
    content = killed.read(checkpoint)
    assert content is not None
    before = _rows(torch.load(io.BytesIO(content), weights_only=True))
    assert len(before) >= 1

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    assert in_process("compare", *STUDY, "--out", url, "--json", "compared.json", folder=tmp_path) == 0
    said = capsys.readouterr().out
    assert f"Report: {url}/report/index.html" in said
    compared = json.loads((tmp_path / "compared.json").read_text())
    study = run_json(killed.read("study.json"))
    results = {run["id"]: run_json(killed.read(f"runs/{run['id']}/result.json")) for run in study["runs"]}
    assert study["failed"] == []
    resumed = results[checkpoint.split("/")[1]]
    assert resumed["epochs"][: len(before)] == before  # down to the seconds that each took
    assert len(resumed["epochs"]) == 3
    left = [entry.name for entry in killed.entries()]
    assert not [name for name in left if name.endswith((".ckpt", ".part"))]
    assert url in study["command"]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a third"))
    assert in_process("report", url, "--json", "reported.json", folder=tmp_path) == 0
    reported = json.loads((tmp_path / "reported.json").read_text())
    assert Path(reported.pop("report")).is_relative_to(tmp_path / "a third")
    compared.pop("report")
    assert reported == compared
    assert not list((tmp_path / "a third").rglob("weights.safetensors"))  # a report needs no weights

    copied = tmp_path / "copied"  # as by `aws s3 sync`: the folder is a study
    for name in left:
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).write_bytes(killed.read(name) or b"")
    assert in_process("report", str(copied), "--json", "copied.json", folder=tmp_path) == 0
    of_copy = json.loads((tmp_path / "copied.json").read_text())
    of_copy.pop("report")
    assert of_copy == reported

    common = ["--device", "cpu", "--threads", "1", "--limit", "20"]
    done = in_process(
        "robustness", url, "--corruptions", "contrast", "--severities", "1", *common, folder=tmp_path
    )
    assert done == 0
    assert len(run_json(killed.read("robustness.json"))["rows"]) >= 2

    with take(killed):
        assert in_process("compare", *STUDY, "--out", url, folder=tmp_path) == 2
    said = capsys.readouterr().err
    assert f"another foveate is at work in {url}: process {os.getpid()} on " in said


def _rows(content: Any) -> list[dict[str, Any]]:
    """Find the rows of the epochs in a checkpoint."""
    for state in content["callbacks"].values():
        if isinstance(state, dict) and "epochs" in state:
            rows: list[dict[str, Any]] = state["epochs"]
            return rows
    raise AssertionError("no rows")


def test_bad_places_are_refused_before_any_training(
    s3: Server, tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for place, said in (
        ("foo://bucket/study", "unknown scheme 'foo'"),
        ("s3://nobodys/study", "there is no such bucket"),
        ("s3://me:secret@bucket/study", "without user, password or query"),
    ):
        assert in_process("compare", *STUDY, "--out", place, folder=tmp_path) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert in_process("report", "s3://nobodys/study", folder=tmp_path) == 2
    assert "s3://nobodys/study holds no study" in capsys.readouterr().err
    assert in_process("export", "runs/a", "--out", "s3://b/x", folder=tmp_path) == 2
    assert "expected a path, got the URL s3://b/x" in capsys.readouterr().err
