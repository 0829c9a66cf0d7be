"""benchmarks/on_gpu.py from beginning to end, on a CPU and tiny: slices, kills, archives, a bare machine."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))
from bare_machine import THERE, WHEELS, cut, pinned  # noqa: E402
from foveate.data import load_data  # noqa: E402
from foveate.errors import RequestError  # noqa: E402
from gpu_steps import accuracy, price  # noqa: E402
from gpu_steps.accuracy import Progress, expected_seconds, progress  # noqa: E402
from gpu_steps.packing import PACKED  # noqa: E402
from gpu_steps.settings import dry_run, on_a_gpu  # noqa: E402
from gpu_steps.units import CUT, DONE, FAILED, Records, Unit, plain  # noqa: E402
from installed import hide_all_but  # noqa: E402

ALL_DONE = "done: 22 of 22 units; left: 0, and 0 runs of the study of 6"
SCRIPT = [sys.executable, str(ROOT / "benchmarks" / "on_gpu.py")]


def slice_of(out: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SCRIPT, "--out", str(out), "--dry-run-on-cpu", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture
def in_here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The script without a process of its own, for what starts none itself; gives the exit status."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return lambda *arguments: importlib.import_module("on_gpu").main(arguments)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH that takes away what a bare machine has not."""
    folder = tmp_path_factory.mktemp("bare")
    return hide_all_but(folder, THERE, WHEELS)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of parquet files with 2,400 + 40 tiny images of two classes; a study takes 2 % of them."""
    import datasets
    from PIL import Image

    root = tmp_path_factory.mktemp("parquet") / "tiny"
    random = np.random.default_rng(0)
    for part, count in (("train", 2400), ("test", 40)):
        labels = [index % 2 for index in range(count)]
        pixels = [random.integers(0, 100, (8, 8, 3), dtype=np.uint8) + 100 * label for label in labels]
        features = datasets.Features(img=datasets.Image(), label=datasets.ClassLabel(names=["dark", "light"]))
        rows = {"img": [Image.fromarray(image.astype(np.uint8)) for image in pixels], "label": labels}
        (root / "data").mkdir(parents=True, exist_ok=True)
        table = datasets.Dataset.from_dict(rows, features=features)
        table.to_parquet(root / "data" / f"{part}-00000-of-00001.parquet")
    return root


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, bare: Path, parquet: Path
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Two slices on a bare machine: one is killed in the first run of its study, the next does the rest."""
    out = tmp_path_factory.mktemp("slices") / "whole"
    arguments = ["--minutes", "7", "--data", str(parquet)]
    process = subprocess.Popen(
        [*SCRIPT, "--out", str(out), "--dry-run-on-cpu", *arguments],
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(bare), "FOVEATE_BENCHMARK_PROCESSES": "fork"},
        stderr=subprocess.DEVNULL,
    )
    ends = time.monotonic() + 420
    while not list(out.rglob("last.ckpt")) and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    page = str(out.with_name("page.md"))  # which only imports what a bare machine has, too
    return out, slice_of(out, *arguments, "--write", page, PYTHONPATH=str(bare))


@pytest.mark.full  # a slice on a bare machine imports all of it
def test_the_script_imports_only_what_a_bare_machine_has(bare: Path) -> None:
    paths = os.pathsep.join([str(bare), str(ROOT / "benchmarks")])
    command = [sys.executable, "-c", "import on_gpu, gpu_steps.page, gpu_steps.accuracy"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.full  # a whole slice takes 100 s
@pytest.mark.slow
def test_slices_do_everything_on_a_bare_machine(
    whole: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = whole
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ALL_DONE, done.stdout
    assert "WRONG" not in done.stdout
    assert out.with_name("page.md").is_file()
    records = [json.loads(file.read_text()) for file in out.glob("p*/*.json")]
    assert {record["status"] for record in records} == {"done"}
    kernel = json.loads((out / "proof" / "kernel-fuse.json").read_text())["found"]
    assert kernel["checked"] == kernel["of"] == 6
    assert kernel["faults"] == []
    assert set(kernel["worst"]) == {"float32", "bfloat16", "float16"}
    assert 0 < kernel["worst"]["bfloat16"]["gradient"] <= kernel["worst"]["bfloat16"]["allowed"] == 4.5e-3
    compiled = json.loads((out / "proof" / "torch-compile-of-cifar-resnet8-with-dmsca.json").read_text())
    assert compiled["found"]["without_attention_off"] > 10 * compiled["found"]["off"]
    (broken_down,) = (json.loads(file.read_text())["found"] for file in out.glob("breakdown/*.json"))
    assert broken_down["path"] == "rearranged"
    assert sum(row["attention"] for row in broken_down["operators"]) > 10


@pytest.mark.full  # a whole slice takes 100 s
@pytest.mark.slow
def test_what_was_measured_is_not_measured_again(
    whole: tuple[Path, subprocess.CompletedProcess[str]],
    parquet: Path,
    tmp_path: Path,
    in_here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, _ = whole
    again = tmp_path / "elsewhere"
    page = tmp_path / "page.md"
    arguments = ["--dry-run-on-cpu", "--out", str(again), "--minutes", "600", "--data", str(parquet)]
    assert in_here(*arguments, "--from", str(out / PACKED), "--write", str(page)) == 0
    done = capsys.readouterr()
    assert "s left:" not in done.err  # no unit and no training was begun
    assert done.out.splitlines()[-1] == ALL_DONE
    assert not list(again.rglob("weights.safetensors"))
    assert len(list(again.rglob("scores.safetensors"))) == 6
    assert "### Beside torch.compile, over the baseline as it is" in page.read_text()


@pytest.mark.full  # a whole slice takes 100 s
@pytest.mark.slow
def test_a_killed_slice_resumes_to_the_same_records(
    whole: tuple[Path, subprocess.CompletedProcess[str]], parquet: Path, tmp_path: Path
) -> None:
    out, alone = whole[0] / accuracy.STEP, tmp_path / accuracy.STEP
    alone.mkdir()
    accuracy.carry_on(dry_run(str(parquet), False), alone, time.monotonic() + 600)
    resumed, expected = results(out), results(alone)
    assert resumed.keys() == expected.keys()
    for name, figures in expected.items():
        # Not bit for bit: where other things had run before, the last digit of a logit was seen to differ.
        assert resumed[name] == pytest.approx(figures, rel=1e-6)


def results(study: Path) -> dict[str, list[float]]:
    """What the runs of a study learned, without times and machine."""
    found = {}
    for file in study.glob("runs/*/result.json"):
        result = json.loads(file.read_text())
        figures = [result["test"]["accuracy"], result["test"]["loss"], result["best_epoch"]]
        for row in result["epochs"]:
            figures += [row["train_loss"], row["validation_loss"]]
        found[result["id"]] = figures
    assert len(found) == 6
    return found


def test_without_a_gpu_it_says_how_to_try(
    tmp_path: Path,
    in_here: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert in_here("--out", str(tmp_path), "--minutes", "1") == 2
    assert capsys.readouterr().err.startswith("error: torch sees no CUDA device here: --dry-run-on-cpu")


def fail(settings: Any, *, seconds: float) -> dict[str, Any]:
    raise ValueError("as it must")


def hang(settings: Any, *, seconds: float) -> dict[str, Any]:
    time.sleep(300)
    return {}


def die(settings: Any, *, seconds: float) -> dict[str, Any]:
    os._exit(7)


def succeed(settings: Any, *, seconds: float) -> dict[str, Any]:
    return {"seconds": float("inf")}


@pytest.mark.full
def test_failures_are_recorded_and_come_last_in_the_next_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOVEATE_BENCHMARK_PROCESSES", "fork")
    records, settings = Records(tmp_path), dry_run(None, False)
    units = [
        Unit("proof", name, work, (), limit)
        for name, work, limit in (
            ("raises", fail, 60.0),
            ("hangs", hang, 0.5),
            ("is cut", hang, 60.0),
            ("dies", die, 60.0),
            ("works", succeed, 60.0),
        )
    ]
    assert records.waiting(units) == units
    raises, hangs, cut_short, dies, works = units
    assert records.carry_out(raises, settings, 60) == FAILED
    assert "ValueError: as it must" in records.read(raises)["traceback"]
    assert records.carry_out(hangs, settings, 60) == FAILED
    assert records.read(hangs)["error"].startswith("it was stopped after")
    assert records.carry_out(cut_short, settings, 0.5) == CUT
    assert records.carry_out(dies, settings, 60) == FAILED
    assert records.read(dies)["error"] == "its process ended with status 7 and left no record"
    assert records.carry_out(works, settings, 60) == DONE
    assert records.read(works)["found"] == {"seconds": "inf"}
    assert records.waiting(units) == [cut_short, raises, hangs, dies]
    assert plain({"a": (float("nan"), 1.5)}) == {"a": ["nan", 1.5]}


def test_the_real_slice_has_the_rows_of_a_gpu_in_order() -> None:
    settings = on_a_gpu("data", whole_runs=False)
    titles = [unit.title for unit in price.units(settings)]
    assert [title.startswith("compiled") for title in titles] == [False] * 17 + [True] * 39
    assert titles[17].startswith("compiled plain in resnet50, inference, batch 256")
    assert titles[22].startswith("compiled dmsca in resnet50, inference, batch 256")
    assert [(case.mechanism, case.mode, case.batch_size, case.graph) for case in settings.cases[:5]] == [
        ("dmsca", "inference", 256, False),
        ("dmsca", "inference", 1, True),
        ("dmsca", "training", 256, False),
        ("sgfa", "inference", 256, False),
        ("sgfa", "inference", 1, True),
    ]
    assert len(settings.cases) == 17
    assert {case.mechanism for case in settings.broken_down} == {"dmsca", "sgfa"}
    assert len(settings.proved) == 15


@pytest.mark.full  # reads a whole slice, which takes 80 s
def test_a_run_is_expected_to_take_as_long_as_those_of_its_mechanism(
    whole: tuple[Path, subprocess.CompletedProcess[str]], parquet: Path
) -> None:
    from foveate.studies.engine.fitting import Machine
    from foveate.studies.engine.images import open_study
    from foveate.studies.engine.watch import Watch
    from gpu_steps.accuracy import study_of

    study = study_of(dry_run(str(parquet), True))
    folder = whole[0] / "accuracy"
    runs = study.runs(open_study(study, folder, Machine("cpu"), Watch()).fingerprint)
    seconds = {run.title: run.seconds for run in progress(folder)}
    own = max(seconds["dmsca, seed 0"] or 0, seconds["dmsca, seed 1"] or 0)
    assert expected_seconds(runs[1], runs, folder) == pytest.approx(1.15 * own)
    assert expected_seconds(runs[1], runs, folder / "nowhere") is None
    assert Progress("dmsca, seed 0", "done", 0.5, 1.0) in [
        run._replace(accuracy=0.5, seconds=1.0) for run in progress(folder)
    ]


def test_parts_of_a_set_are_the_set_again(parquet: Path, tmp_path: Path) -> None:
    cut(parquet, tmp_path, 2)
    joined = tmp_path / "joined" / "data"
    joined.mkdir(parents=True)
    for piece in tmp_path.glob("[12]/data/*.parquet"):
        piece.rename(joined / piece.name)
    one, other = load_data(str(parquet)), load_data(str(tmp_path / "joined"))
    assert one.classes == other.classes
    for part in ("train", "test"):
        assert (getattr(one, part).images == getattr(other, part).images).all()
        assert (getattr(one, part).labels == getattr(other, part).labels).all()


def test_wheels_are_those_of_the_lock() -> None:
    assert all("==" in wheel for wheel in pinned(WHEELS))
    with pytest.raises(RequestError, match="not-a-package: not among"):
        pinned(["not-a-package"])
