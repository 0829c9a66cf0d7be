import contextlib
import json
import operator
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import foveate
from foveate.data import load_data
from foveate.errors import DiskError, ImagesChangedError, RequestError, WorkError, WorkersLostError
from foveate.files import part_ending
from foveate.inspection.find_trained import find_trained
from foveate.inspection.trained import open_images
from foveate.report.study.build import build_report
from foveate.storage.folder import FolderStorage
from foveate.storage.lease import take
from foveate.studies.compare import compare
from foveate.studies.engine.executors.processes import LocalProcesses
from foveate.studies.engine.fingerprints import BY_NAMES
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.network import build_network
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec

CPU = Machine("cpu", threads=1)
CLOCKS = ("latency", "seconds", "efficiency", "input_share")


def bands_study(bands: Path, changes: dict[str, Any] | None = None, **settings: Any) -> StudySpec:
    settings = {
        "data": str(bands),
        "backbone": "cifar_resnet8",
        "attention": "none,se",
        "seeds": 2,
    } | settings
    return make_study(settings, {"epochs": 2, "batch_size": 16, "augmentation": ("crop",)} | (changes or {}))


class Log(Watch):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.plan: tuple[int, int] = (0, 0)
        self.done: list[str] = []
        self.failures: list[tuple[str, str]] = []

    def planned(self, total: int, finished: int) -> None:
        self.plan = (total, finished)

    def finished(
        self, run: str, accuracy: float, seconds: float, waited: float | None = None, part: str = "test"
    ) -> None:
        self.done.append(run)

    def failed(self, run: str, message: str) -> None:
        self.failures.append((run, message))


def compare_and_report(study: StudySpec, out: Path, machine: Machine = CPU, **options: Any) -> dict[str, Any]:
    compare(study, out, machine, **options)
    return build_report(out).to_json()


def without_clocks(summary: dict[str, Any]) -> dict[str, Any]:
    """The rows and tests of a summary, but for what a clock measured."""
    rows = [
        {key: value for key, value in row.items() if not any(clock in key for clock in CLOCKS)}
        for row in summary["rows"]
    ]
    return {"rows": rows, "tests": summary["tests"]}


@pytest.fixture(scope="module")
def finished(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("study") / "out"
    return out, compare_and_report(bands_study(bands), out)


def test_a_study_ends_in_its_records_and_its_report(finished: tuple[Path, dict[str, Any]]) -> None:
    out, summary = finished
    assert [row["attention"] for row in summary["rows"]] == ["none", "se"]
    assert all(len(row["accuracy"]["values"]) == 2 for row in summary["rows"])
    assert [(test["a"], test["b"]) for test in summary["tests"]] == [("none", "se")]
    assert summary["missing"] == []
    assert Path(summary["report"]).is_file()
    runs = list((out / "runs").iterdir())
    assert len(runs) == 4
    for run in runs:
        names = {path.name for path in run.iterdir()} - {".lease-1"}
        assert names == {
            "spec.json",
            "epochs.csv",
            "scores.safetensors",
            "weights.safetensors",
            "result.json",
        }
    recipe = json.loads((runs[0] / "result.json").read_text())["spec"]["recipe"]
    assert recipe["epochs"] == 2
    assert recipe["schedule"] == "cosine"


def test_weights_carry_what_their_use_needs_and_give_the_tested_accuracy(
    finished: tuple[Path, dict[str, Any]], bands: Path
) -> None:
    from foveate.data import Augmentation, load_data

    out, _ = finished
    study = bands_study(bands)
    data = load_data(str(bands), default_size=32)
    for run in study.runs(data.fingerprint):
        folder = out / "runs" / run.id
        network = foveate.load(folder)
        use = network.pretrained_cfg
        assert use["label_names"] == ["high", "low", "middle"]
        images, labels = data.test.__getitems__(list(range(len(data.test))))
        prepare = Augmentation((), use["input_size"][1], 0, use["mean"], use["std"])
        with torch.no_grad():
            hits = network(prepare.unaugmented(images)).argmax(1) == labels
        result = json.loads((folder / "result.json").read_text())
        assert hits.double().mean().item() == result["test"]["accuracy"]


def test_all_mechanisms_of_a_seed_start_from_the_same_backbone() -> None:
    study = make_study(
        {"data": "digits", "backbone": "cifar_resnet20", "attention": "none,dmsca", "seeds": 1}, {}
    )
    networks = [
        build_network("cifar_resnet20", candidate, classes=3, channels=1, seed=4)
        for candidate in study.attention
    ]
    plain, attended = (network.state_dict() for network in networks)
    assert all(torch.equal(value, attended[key]) for key, value in plain.items())
    other = build_network("cifar_resnet20", study.attention[0], classes=3, channels=1, seed=5).state_dict()
    assert not torch.equal(plain["conv1.weight"], other["conv1.weight"])


def with_quiet_latencies(out: Path) -> dict[str, Any]:
    """Write latencies as a quiet machine gives them, which are not measured again; returns the summary."""
    record = json.loads((out / "cost.json").read_text())
    for row in record["rows"].values():
        row |= {"latency_ms_p50": 2.0, "latency_ms_p95": 2.1, "latency_ratio": 1.0}
    record["timing"]["cpu_share"] = 1.0
    (out / "cost.json").write_text(json.dumps(record))
    return build_report(out).to_json()


def test_a_finished_study_is_only_read(finished: tuple[Path, dict[str, Any]], bands: Path) -> None:
    out, _ = finished
    summary = with_quiet_latencies(out)
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("result.json")}
    cost = (out / "cost.json").read_bytes()
    log = Log()
    again = compare_and_report(bands_study(bands), out, watch=log)
    assert log.plan == (4, 4)
    assert log.done == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (out / "cost.json").read_bytes() == cost
    assert again == summary


def test_more_seeds_and_mechanisms_reuse_what_is_there(
    finished: tuple[Path, dict[str, Any]], bands: Path, tmp_path: Path
) -> None:
    out, summary = finished
    shutil.copytree(out, tmp_path / "out")
    log = Log()
    wider_study = bands_study(bands, seeds=3, attention="none,se,eca")
    more = compare_and_report(wider_study, tmp_path / "out", watch=log)
    assert log.plan == (9, 4)
    assert len(log.done) == 5
    for row, wider in zip(summary["rows"], more["rows"], strict=False):
        assert wider["accuracy"]["values"][:2] == row["accuracy"]["values"]


# A temperature of 1e-300 divides by zero in float32: the loss is no number from the first step on.
FAILS = "dmsca(temperature=1e-300)"
NOT_FINITE = "the loss is not a finite number at epoch 1, step 1"


@pytest.mark.usefixtures("forked_workers")
def test_jobs_give_the_same_table_and_name_what_failed(
    finished: tuple[Path, dict[str, Any]], bands: Path, tmp_path: Path
) -> None:
    _, summary = finished
    log = Log()
    study = bands_study(bands, attention=f"none,se,{FAILS}")
    parallel = compare_and_report(study, tmp_path / "out", executor=LocalProcesses(2), watch=log)
    assert sorted(log.done) == ["baseline, seed 0", "baseline, seed 1", "se, seed 0", "se, seed 1"]
    assert [NOT_FINITE in message for _, message in log.failures] == [True, True]
    rows = [row for row in parallel["rows"] if row["attention"] != FAILS]
    for row, alone in zip(rows, summary["rows"], strict=True):
        assert row["accuracy"] == alone["accuracy"]
        # Not bit for bit: where other things had run before, the last digit of a logit was seen to differ.
        assert row["loss"]["values"] == pytest.approx(alone["loss"]["values"], rel=1e-7)


@pytest.mark.usefixtures("forked_workers")
def test_workers_refuse_images_that_changed_and_name_them(bands: Path, tmp_path: Path) -> None:
    root = shutil.copytree(bands, tmp_path / "bands")

    class Changes(Watch):
        def measuring(self, done: int, total: int) -> None:
            if done == total:
                (root / "train/low/3.png").unlink()
                (root / "test/high/0.png").write_bytes((root / "test/high/1.png").read_bytes())

    with pytest.raises(ImagesChangedError, match="no longer those that the study was started with") as error:
        compare(
            bands_study(root, seeds=1), tmp_path / "out", CPU, executor=LocalProcesses(2), watch=Changes()
        )
    assert f"{root}/train/low/3.png: it was removed" in str(error.value)
    assert f"{root}/test/high/0.png: it was changed" in str(error.value)
    assert not list((tmp_path / "out").rglob("result.json"))


def test_a_study_of_0_1_0_is_resumed_under_its_fingerprint(
    trained_bands: Path, bands: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained_bands, out)
    study = json.loads((out / "study.json").read_text())
    content, data = study["data"]["fingerprint"], load_data(str(bands), default_size=32)
    study["data"]["fingerprint"] = data.names_fingerprint
    asked = bands_study(bands, {"augmentation": ()}, backbone="cifar_resnet8", attention="none,se", seeds=2)
    old = {(run.attention.label, run.seed): run for run in asked.runs(data.names_fingerprint)}
    for run in study["runs"]:
        spec = old[run["attention"], run["seed"]]
        folder = (out / "runs" / run["id"]).rename(out / "runs" / spec.id)
        run["id"] = spec.id
        result = json.loads((folder / "result.json").read_text())
        result |= {"id": spec.id, "spec": result["spec"] | {"fingerprint": data.names_fingerprint}}
        (folder / "result.json").write_text(json.dumps(result))
    (out / "study.json").write_text(json.dumps(study))
    log = Log()
    compare(asked, out, CPU, watch=log)
    assert log.plan == (4, 4)
    about = json.loads((out / "study.json").read_text())["data"]
    assert (about["fingerprint"], about["content_fingerprint"]) == (data.names_fingerprint, content)
    assert about["notes"][-1] == BY_NAMES
    examined = open_images(find_trained([str(out)]))
    assert examined.fingerprint == data.names_fingerprint


@pytest.mark.usefixtures("forked_workers")
def test_workers_that_cannot_start_say_why() -> None:
    with contextlib.closing(LocalProcesses(2).carry_out([1, 2], Watch(), operator.floordiv, 0)) as outcomes:
        _, outcome = next(outcomes)
        with pytest.raises(WorkersLostError, match="could not start: ZeroDivisionError"):
            outcome()


def test_a_failed_run_leaves_the_others_and_is_named(bands: Path, tmp_path: Path) -> None:
    log = Log()
    study = bands_study(bands, attention=f"none,{FAILS}", seeds=1)
    summary = compare_and_report(study, tmp_path / "out", watch=log)
    assert log.done == ["baseline, seed 0"]
    assert NOT_FINITE in log.failures[0][1]
    assert [row["attention"] for row in summary["rows"] if row["accuracy"]["values"]] == ["none"]
    assert "finite number" in str(summary["missing"])


def test_a_study_whose_runs_all_fail_has_failed(bands: Path, tmp_path: Path) -> None:
    study = bands_study(bands, {"learning_rate": 1e30, "warmup_ratio": 0}, attention="none", seeds=1)
    with pytest.raises(WorkError, match=r"no run could be finished.*learning rate"):
        compare(study, tmp_path / "out", CPU)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_ends_the_study_and_keeps_what_was_finished(bands: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = bands_study(bands, seeds=1)

    class FullInTheSecond(Watch):
        def step(self, run: str, *position: Any) -> None:
            part = out / "runs" / study.runs(fingerprint)[1].id / f"last.ckpt.{part_ending()}"
            if run == "se, seed 0" and not part.is_symlink():
                part.symlink_to("/dev/full")

    fingerprint = load_data(str(bands), default_size=32).fingerprint
    with pytest.raises(
        DiskError, match=r"cannot write .*last\.ckpt: No space left.*give the same command again"
    ):
        compare(study, out, CPU, watch=FullInTheSecond())
    assert len(list((out / "runs").rglob("result.json"))) == 1
    log = Log()
    assert compare_and_report(study, out, watch=log)["missing"] == []
    assert log.plan == (2, 1)


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_cannot_be_written_ends_the_study_at_once(bands: Path, tmp_path: Path, jobs: int) -> None:
    out = tmp_path / "out"
    study = bands_study(bands, {"epochs": 3}, seeds=4)
    runs = study.runs(load_data(str(bands), default_size=32).fingerprint)
    (out / "runs" / runs[0].id / "epochs.csv").mkdir(parents=True)
    with pytest.raises(DiskError, match=r"cannot write .*epochs\.csv"):
        compare(study, out, CPU, executor=LocalProcesses(jobs))
    assert len(list((out / "runs").rglob("result.json"))) < len(runs) - 1


def test_a_checkpoint_that_is_none_fails_its_run_only(bands: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = bands_study(bands, seeds=1)
    run = study.runs(load_data(str(bands), default_size=32).fingerprint)[0]
    (out / "runs" / run.id).mkdir(parents=True)
    (out / "runs" / run.id / "last.ckpt").write_bytes(b"junk")
    log = Log()
    compare(study, out, CPU, watch=log)
    assert log.done == ["se, seed 0"]
    assert "last.ckpt is not a checkpoint to resume from" in log.failures[0][1]
    assert "delete it" in log.failures[0][1]


def test_a_streamed_image_that_is_broken_fails_its_runs_by_name(
    bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functools import partial

    from foveate.data import load_data
    from foveate.studies.engine import images as module

    monkeypatch.setattr(module, "load_data", partial(load_data, memory_limit=0))
    study = bands_study(shutil.copytree(bands, tmp_path / "bands"), attention="none", seeds=1)

    class Breaks(Watch):
        def measuring(self, done: int, total: int) -> None:
            for image in (tmp_path / "bands/train/high").iterdir():
                image.write_bytes(image.read_bytes()[:60])

    with pytest.raises(WorkError, match=r"(?s)no run could be finished.*high/\d+\.png") as error:
        compare(study, tmp_path / "out", Machine("cpu", threads=1, workers=2), watch=Breaks())
    assert "Traceback" not in str(error.value)


def test_two_studies_on_one_folder_at_once(bands: Path, tmp_path: Path) -> None:
    with take(FolderStorage(tmp_path)), pytest.raises(RequestError, match="another foveate is at work in"):
        compare(bands_study(bands), tmp_path, CPU)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"format": 99, "foveate": "7.0"},
            r"written by foveate 7\.0 \(record format 99\).*give another --out",
        ),
        ({"papers": []}, "is not a study of foveate: move it away, or give another --out"),
    ],
)
def test_a_folder_of_another_version_is_left_alone(
    bands: Path, tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    (tmp_path / "study.json").write_text(json.dumps(content))
    with pytest.raises(RequestError, match=message):
        compare(bands_study(bands), tmp_path, CPU)
    assert os.listdir(tmp_path) == ["study.json"]


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({"attention": "none,se(reductoin=4)"}, {}, r"se\(reductoin=4\) on cifar_resnet8: .*'reduction'"),
        ({"attention": "se(stages=9)"}, {}, r"stages .*\[1, 2, 3\]"),
        ({"attention": "se", "backbone": "vgg11"}, {}, r"se on vgg11: the blocks of VGG are not known"),
        ({"backbone": "resnet18.foo"}, {}, "backbone resnet18.foo: Invalid pretrained tag"),
        (
            {"backbone": "vit_tiny_patch16_224", "attention": "none"},
            {},
            "vit_tiny_patch16_224 cannot take images of 8×8 pixels",
        ),
        (
            {"pretrained": True},
            {},
            "cifar_resnet8 has no pretrained weights: leave out --pretrained, or give --weights",
        ),
        ({}, {"precision": "16-mixed"}, "precision 16-mixed needs a CUDA device: on cpu give bf16-mixed"),
        ({}, {"batch_size": 4096}, r"batch_size 4096 is larger than the training part of 54 images"),
        ({}, {"augmentation": ("crop", "flop")}, "unknown augmentation 'flop'. Did you mean 'flip'"),
    ],
)
def test_a_wrong_request_stops_before_any_work(
    bands: Path, tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        compare(bands_study(bands, changes, **settings), tmp_path / "out", CPU)
    assert not (tmp_path / "out" / "runs").exists()


def test_a_folder_that_cannot_be_is_refused_before_images_are_read(bands: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RequestError, match=r"file is a file\. Give another --out"):
            compare(bands_study(bands), out, CPU)


def test_streamed_images_give_the_same_table(
    finished: tuple[Path, dict[str, Any]], bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functools import partial

    from foveate.data import load_data
    from foveate.studies.engine import images as module

    monkeypatch.setattr(module, "load_data", partial(load_data, memory_limit=0))
    streaming = Machine("cpu", threads=1, workers=2)
    streamed = compare_and_report(bands_study(bands), tmp_path / "out", streaming)
    expected = without_clocks(finished[1])
    for row, other in zip(expected["rows"], without_clocks(streamed)["rows"], strict=True):
        assert other["accuracy"] == row["accuracy"]
        assert other["loss"] == row["loss"]
