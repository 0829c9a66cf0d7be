"""The command as a person gives it: real processes, real signals, exit statuses, what is printed where."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command_line import FOVEATE, foveate

DIGITS = ["compare", "--data", "digits", "--backbone", "cifar_resnet8", "--device", "cpu", "--threads", "1"]
QUICK = [*DIGITS, "--attention", "none,se", "--seeds", "2", "--epochs", "2", "--set", "batch_size=128"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, foveate(*QUICK, "--json", "-", cwd=folder)


def test_compare_prints_json_alone_on_standard_output(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = finished
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    row = summary["rows"][1]
    assert row["attention"] == "se"
    assert set(row["accuracy"]) == {"mean", "std", "ci95", "values"}
    keys = {"loss", "precision", "recall", "f1", "ece", "parameters", "macs", "latency_ms_p50"}
    assert keys <= set(row)
    assert {"a", "b", "difference", "p", "p_adjusted", "cohens_d"} <= set(summary["tests"][0])
    assert "detectable_difference" in summary
    assert (folder / summary["report"]).is_file()


def test_people_get_the_table_the_verdict_and_the_path_and_no_noise(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = finished
    assert "se, seed 1" in done.stderr
    assert "Report: studies/digits-cifar_resnet8/report/index.html" in done.stderr
    for noise in ("Warning", "warn", "GPU available", "Traceback", "\x1b["):
        assert noise not in done.stderr


def test_another_study_takes_another_default_folder_and_a_given_one_is_refused(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
    in_process: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _ = finished
    place = "studies/digits-cifar_resnet8"
    assert in_process("plan", *QUICK[1:], "--learning-rate", "0.05", folder=folder) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{place} holds another study: learning_rate" in said
    assert f"This study goes to {place}-2." in said
    refused = ("compare", *QUICK[1:], "--learning-rate", "0.05", "--out", place)
    assert in_process(*refused, folder=folder) == 2
    assert "give another --out" in " ".join(capsys.readouterr().err.split())


def test_report_is_built_again_from_the_records(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
    tmp_path: Path,
    in_process: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, done = finished
    page = folder / "studies/digits-cifar_resnet8/report/index.html"
    page.unlink()
    again = ["report", "studies/digits-cifar_resnet8", "--json", str(tmp_path / "x.json")]
    assert in_process(*again, folder=folder) == 0
    assert page.is_file()
    assert json.loads((tmp_path / "x.json").read_text()) == json.loads(done.stdout)
    assert "Report: " in capsys.readouterr().out


def rows_without_clocks(summary: dict[str, Any]) -> list[dict[str, Any]]:
    clocks = ("latency", "seconds", "input_share")
    return [{k: v for k, v in row.items() if not any(c in k for c in clocks)} for row in summary["rows"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jobs", "kills"),
    [
        pytest.param("1", 3, marks=pytest.mark.full),
        ("2", 1),
        pytest.param("2", 3, marks=pytest.mark.full),
    ],
)
def test_kill_9_at_any_moment_changes_nothing_and_ends_the_workers(
    finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, jobs: str, kills: int
) -> None:
    moments = random.Random(int(jobs))
    command = [*QUICK, "--jobs", jobs]
    results = tmp_path / "studies/digits-cifar_resnet8/runs"
    done_before: dict[Path, int] = {}
    for _ in range(kills):
        process = subprocess.Popen(
            [*FOVEATE, *command],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "FOVEATE_TEST_MARK": str(tmp_path)},
            stderr=subprocess.DEVNULL,
        )
        seen = len(list(results.glob("*/epochs.csv")))
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(results.glob("*/epochs.csv"))) > seen:  # it is at work: now at any moment
                if jobs == "2" and seen == 0:
                    assert len(marked(tmp_path)) >= 3
                time.sleep(moments.uniform(0, 1.5))
                break
            time.sleep(0.02)
        process.kill()  # SIGKILL
        process.wait()
        deadline = time.monotonic() + 20
        while marked(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert marked(tmp_path) == []
        for path, written in done_before.items():
            assert path.stat().st_mtime_ns == written  # nothing that was finished was done again
        done_before = {path: path.stat().st_mtime_ns for path in results.glob("*/result.json")}
    last = foveate(*QUICK, "--json", "-", cwd=tmp_path)
    assert last.returncode == 0, last.stderr
    whole = json.loads(finished[1].stdout)
    resumed = json.loads(last.stdout)
    assert rows_without_clocks(resumed) == rows_without_clocks(whole)
    assert resumed["tests"] == whole["tests"]


@pytest.mark.parametrize(
    ("jobs", "signum", "status", "word"),
    [
        ("1", signal.SIGINT, 130, "interrupted"),
        pytest.param("2", signal.SIGINT, 130, "interrupted", marks=pytest.mark.full),
        pytest.param("2", signal.SIGTERM, 143, "terminated", marks=pytest.mark.full),
    ],
)
def test_a_signal_ends_it_at_once_and_it_says_how_to_go_on(
    tmp_path: Path, jobs: str, signum: int, status: int, word: str
) -> None:
    process = subprocess.Popen(
        [*FOVEATE, *DIGITS, "--attention", "none", "--seeds", "2", "--epochs", "500", "--jobs", jobs],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    runs = tmp_path / "studies/digits-cifar_resnet8/runs"
    deadline = time.monotonic() + 120
    while not list(runs.glob("*/epochs.csv")) and time.monotonic() < deadline:
        time.sleep(0.1)
    if signum == signal.SIGINT:
        os.killpg(process.pid, signum)  # as a terminal does: to the workers, too
    else:
        process.send_signal(signum)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == status
    assert said.splitlines()[-1] == f"foveate: {word}; give the same command again to resume"
    assert "Traceback" not in said
    assert "leaked" not in said


@pytest.mark.usefixtures("forked_workers")
def test_sigterm_ends_a_study_and_its_workers(
    tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "studies/digits-cifar_resnet8/runs"
    ended = threading.Event()

    def terminate() -> None:
        while not list(runs.glob("*/epochs.csv")) and not ended.wait(0.1):
            pass
        if not ended.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    arguments = [*DIGITS, "--attention", "none", "--seeds", "2", "--epochs", "500", "--jobs", "2"]
    try:
        assert in_process(*arguments, folder=tmp_path) == 143
    finally:
        ended.set()
        thread.join()
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == "foveate: terminated; give the same command again to resume"
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert multiprocessing.active_children() == []


def marked(mark: Path) -> list[int]:
    """Processes, but for dead ones, that were started with this mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"FOVEATE_TEST_MARK={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["compare", "--data", "digits", "--backbone", "cifar_resnet8"], 2, "names no attention"),
        ([*DIGITS, "--attention", "none,dmcsa"], 2, "unknown attention 'dmcsa'. Did you mean 'dmsca'?"),
        ([*DIGITS, "--attention", "none", "--set", "epoch=1"], 2, "unknown recipe key 'epoch'"),
        ([*DIGITS, "--attention", "none", "--log", "wandb"], 2, "unknown log 'wandb'"),
        ([*DIGITS, "--attention", "none", "--image-size", "64"], 2, "smaller than the crop"),
        (["compare", "missing.yaml"], 2, "cannot read missing.yaml: No such file"),
        (["report", "nowhere"], 2, "nowhere"),
        ([*DIGITS, "--attention", "se", "--threads", "100000"], 2, "--threads 100000: expected at most"),
        ([*DIGITS, "--attention", "se", "--jobs", "900"], 2, "--jobs 900 × --threads 1 = 900: expected"),
        ([*DIGITS, "--attention", "dmsca(kernel_sizes=[100001])"], 2, "kernel_sizes must be at most 255"),
        ([*DIGITS, "--attention", "none", "--set", "epochs=true"], 2, "not true or false"),
        (
            [*DIGITS, "--attention", "none", "--seeds", "1", "--lr", "1e30", "--set", "warmup_ratio=0"],
            1,
            "finite",
        ),
        (["compaer"], 2, "compaer"),
    ],
)
def test_exit_status_and_message(
    arguments: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    in_process: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert in_process(*arguments, folder=tmp_path) == status
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_study_file_and_flags_over_it(
    tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text(
        "data: digits\nbackbone: cifar_resnet8\nattention: [none, {se: {reduction: 8}}]\nseeds: [4]\n"
        "recipe: {base: digits, epochs: 50, batch_size: 256}\n"
    )
    arguments = ["compare", "study.yaml", "--epochs", "1", "--threads", "1", "--json", "x.json"]
    assert in_process(*arguments, folder=tmp_path) == 0
    summary = json.loads((tmp_path / "x.json").read_text())
    assert [row["attention"] for row in summary["rows"]] == ["none", "se(reduction=8)"]
    assert "no test is possible" in " ".join(capsys.readouterr().out.split())


def test_version_and_help(
    tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    from foveate import __version__

    assert in_process("--version", folder=tmp_path) == 0
    assert capsys.readouterr().out == f"foveate {__version__}\n"
    assert in_process("--help", folder=tmp_path) == 0
    assert "compare" in capsys.readouterr().out
