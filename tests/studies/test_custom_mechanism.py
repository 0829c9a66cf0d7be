"""Studies of a person's own mechanism: its source decides a run, and is run only where it is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from custom_modules import MINE, write_mine
from foveate import attached
from foveate.errors import RequestError
from foveate.inspection.find_trained import find_trained
from foveate.records.file_names import COST, RESULT, STUDY
from foveate.records.files import read_record
from foveate.records.study import StudyRecord
from foveate.report.study.build import build_report
from foveate.studies.compare import compare
from foveate.studies.engine.executors.processes import LocalProcesses
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.network import attach_candidate, build_network
from foveate.studies.spec.candidate import read_candidate
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec
from noting import Notes

CPU = Machine("cpu", threads=1)


def study(bands: Path, attention: str | None, **settings: Any) -> StudySpec:
    settings = {
        "data": str(bands),
        "backbone": "cifar_resnet8",
        "attention": attention,
        "seeds": 1,
    } | settings
    return make_study(settings, {"epochs": 1, "batch_size": 16, "augmentation": ()})


def test_a_changed_source_is_a_new_run_and_only_that(bands: Path, tmp_path: Path) -> None:
    name, out = f"{write_mine(tmp_path)}:Mine", tmp_path / "out"
    watch = Notes()
    compare(study(bands, f"none,{name}"), out, CPU, watch=watch)
    assert watch.done == ["baseline, seed 0", "mine.py:Mine, seed 0"]
    first = read_record(out / STUDY, StudyRecord)
    source = first.source_of("mine.py:Mine(reduction=8)")
    assert source is not None
    assert source.files == {"mine.py": MINE, "helper.py": "SCALE = 1.0\n"}
    page = build_report(out).report.read_text()
    assert f"Source of mine.py:Mine, SHA-256 {source.digest[:12]}" in page
    assert "A gate for each channel, x · σ(s · W mean(x))." in page

    watch = Notes()
    (tmp_path / "elsewhere").mkdir()
    moved = f"{write_mine(tmp_path / 'elsewhere')}:Mine"
    compare(study(bands, f"none,{moved}"), out, CPU, watch=watch)
    assert (watch.done, watch.notes) == ([], [])  # the same source in another folder

    watch, latencies = Notes(), (out / COST).read_text()
    write_mine(tmp_path, scale=2.0)
    compare(study(bands, f"none,{name}"), out, CPU, watch=watch)
    assert watch.done == ["mine.py:Mine, seed 0"]
    assert "mine.py:Mine was changed since: its earlier runs leave the study" in watch.notes[0]
    second = read_record(out / STUDY, StudyRecord)
    assert len(second.runs) == 2
    assert {run.id for run in second.runs} != {run.id for run in first.runs}
    assert len(list(out.rglob(RESULT))) == 3
    assert (out / COST).read_text() != latencies
    assert [row.attention for row in build_report(out).rows] == ["none", "mine.py:Mine"]


def test_a_study_with_own_code_is_joined_only_by_who_names_it(bands: Path, tmp_path: Path) -> None:
    name, out = f"{write_mine(tmp_path)}:Mine", tmp_path / "out"
    compare(study(bands, name), out, CPU)
    with pytest.raises(RequestError, match="it has mine.py:Mine, code of your own, which runs only if"):
        compare(study(bands, "none"), out, CPU)
    compare(study(bands, f"none,{name}"), out, CPU)
    assert len(read_record(out / STUDY, StudyRecord).runs) == 2


def test_runs_hold_the_code_and_are_examined_where_it_is_trusted(bands: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    compare(study(bands, f"{write_mine(tmp_path)}:Mine"), out, CPU)
    (tmp_path / "mine.py").unlink()
    with pytest.raises(RequestError, match="runs only where you ask"):
        find_trained([str(out)])
    (trained,) = find_trained([str(out)], trust_code=True)
    assert (trained.label, trained.mechanisms) == ("mine.py:Mine", ("mine.py:Mine",))
    assert len(attached(trained.build())) == 3
    result = json.loads(next(out.rglob(RESULT)).read_text())
    assert result["spec"]["attention"]["name"] == "mine.py:Mine"


@pytest.mark.full
@pytest.mark.usefixtures("forked_workers")
def test_worker_processes_load_the_class_themselves(bands: Path, tmp_path: Path) -> None:
    name, watch = f"{write_mine(tmp_path)}:Mine", Notes()
    compare(
        study(bands, f"none,{name}(spatial=True)"),
        tmp_path / "out",
        CPU,
        executor=LocalProcesses(2),
        watch=watch,
    )
    assert sorted(watch.done) == ["baseline, seed 0", "mine.py:Mine(spatial=True), seed 0"]


@pytest.mark.parametrize(
    ("attention", "words"),
    [
        (
            "Pair",
            r"Pair returns a tuple of 2 at layer1.0.bn2, where it takes float32 of shape \(2, 16, 7, 7\)",
        ),
        ("Pooled", r"returns float32 of shape \(2, 16, 1, 1\) at layer1.0.bn2"),
        ("Pair(identity_init=True)", "returns a tuple of 2 at layer1.0.bn2"),
        ("TwoWidths", "needs oup and groups"),
        ("NoModule", "is no torch.nn.Module"),
        ("Mine(reductoin=2)", "unknown option of mine.py:Mine 'reductoin'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_training(
    bands: Path, tmp_path: Path, attention: str, words: str
) -> None:
    name = f"{write_mine(tmp_path)}:{attention}"
    with pytest.raises(RequestError, match=words):
        compare(study(bands, f"none,{name}"), tmp_path / "out", CPU)
    assert not (tmp_path / "out" / STUDY).exists()


def test_a_source_that_vanished_or_changed_meanwhile_is_refused(bands: Path, tmp_path: Path) -> None:
    name = f"{write_mine(tmp_path)}:Mine"
    candidate = read_candidate(name)
    write_mine(tmp_path, scale=3.0)
    network = build_network("cifar_resnet8", read_candidate("none"), classes=3, channels=1)
    with pytest.raises(RequestError, match="the source of mine.py:Mine was changed after the command began"):
        attach_candidate(network, candidate, "cifar_resnet8")
    (tmp_path / "mine.py").unlink()
    with pytest.raises(RequestError, match="mine.py is not there"):
        study(bands, f"none,{name}")


def test_boolean_options_are_ablated(bands: Path, tmp_path: Path) -> None:
    name = f"{write_mine(tmp_path)}:Mine"
    spec = study(bands, None, ablate=f"{name}(reduction=8)")
    labels = [candidate.label.removeprefix("mine.py:Mine") for candidate in spec.attention]
    assert labels == ["none", "(reduction=8)", "(reduction=8,bias=False)", "(reduction=8,spatial=True)"]
    pairs = [
        (one.a.rpartition("Mine")[2], one.b.rpartition("Mine")[2], one.title) for one in spec.design.contrasts
    ]
    assert pairs == [
        ("(reduction=8,bias=False)", "(reduction=8)", "bias"),
        ("(reduction=8)", "(reduction=8,spatial=True)", "spatial"),
        ("none", "(reduction=8)", "mine.py:Mine(reduction=8)"),
    ]
    with pytest.raises(RequestError, match="has no boolean option, such as"):
        study(bands, None, ablate=f"{tmp_path}/mine.py:First")
    with pytest.raises(RequestError, match="has no boolean option that is not fixed"):
        study(bands, None, ablate=f"{name}(bias=True,spatial=True)")


def test_options_are_swept(bands: Path, tmp_path: Path) -> None:
    name = f"{write_mine(tmp_path)}:Mine"
    spec = study(bands, None, sweep=name, values=["reduction=2,4,8"])
    assert [one.label for one in spec.attention] == [
        "none",
        "mine.py:Mine",
        "mine.py:Mine(reduction=2)",
        "mine.py:Mine(reduction=8)",
    ]
    assert {one.source for one in spec.attention if one.is_custom} == {spec.attention[1].source}
    with pytest.raises(RequestError, match="unknown option of mine.py:Mine 'reductoin'"):
        study(bands, None, sweep=name, values=["reductoin=2,4"])


def test_hashes_of_foveates_own_runs_do_not_change() -> None:
    content = read_candidate("se(reduction=4)").model_dump(mode="json")
    assert not {"path", "source"} & content.keys()
