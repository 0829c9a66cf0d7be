"""The folders of studies and runs, held against other processes."""

import os
import threading
from pathlib import Path

import pytest
import torch

from foveate.errors import RequestError, WorkError
from foveate.files import create_whole
from foveate.records.trial import TRIAL, TrialRecord, read_trial
from foveate.storage.folder import FolderStorage
from foveate.storage.lease import Lease, LeaseLostError, take
from foveate.studies.engine.holding import hold_run_folder, sole_user
from storage.holders import Holder

CPU = torch.device("cpu")
ENDED = TrialRecord(accuracies=(0.5,), pruned=False, seconds=1.0)
GONE = 2**22 + 1
"""No process has this id: Linux gives none over 2**22."""


def test_a_study_that_another_process_has_is_refused_with_who_it_is(tmp_path: Path) -> None:
    with Holder(tmp_path) as other:
        assert other.ask("take study") == "generation 1"
        said = rf"another foveate is at work in {tmp_path}/study: process {other.process.pid} on .*another"
        with pytest.raises(RequestError, match=said), sole_user(tmp_path / "study"):
            pass
        other.process.kill()
        other.process.wait()
        with sole_user(tmp_path / "study") as lease:  # a killed study is resumed without a wait
            assert lease.generation == 2


def test_temporary_files_of_killed_processes_are_removed_but_not_those_of_runs(tmp_path: Path) -> None:
    mine, others = tmp_path / f"study.json.{GONE}.part", tmp_path / f"runs/a/result.json.{GONE}.part"
    alive = tmp_path / f"cost.json.{os.getpid()}.part"
    others.parent.mkdir(parents=True)
    for path in (mine, others, alive):
        path.write_text("{")
    with sole_user(tmp_path):
        assert not mine.exists()
        assert others.exists()  # of a process on another machine, for all that is known here
        assert alive.exists()
    with hold_run_folder(others.parent, CPU):
        assert not others.exists()


def test_an_interrupted_study_leaves_its_lease(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), sole_user(tmp_path):
        raise KeyboardInterrupt
    with take(FolderStorage(tmp_path)) as lease:
        assert lease.generation == 2


def test_a_run_that_another_process_trains_is_waited_for_and_its_result_is_there(tmp_path: Path) -> None:
    found: list[bytes] = []

    def wait_for_it() -> None:
        with hold_run_folder(tmp_path / "run", CPU, patience=300):
            found.append((tmp_path / "run/result.json").read_bytes())

    with Holder(tmp_path) as other:
        assert other.ask("take run") == "generation 1"
        with (
            pytest.raises(WorkError, match=rf"taken by process {other.process.pid} on .* is training it"),
            hold_run_folder(tmp_path / "run", CPU, patience=0),
        ):
            pass
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        assert other.ask("create run") == "True"
        assert other.ask("release run") == "released"
        waiting.join()
    assert found == [b"a process"]


def test_whoever_lost_a_run_stops_and_publishes_nothing(tmp_path: Path) -> None:
    calls: list[int] = []
    with hold_run_folder(tmp_path, CPU) as held:
        step = held.stopping(lambda epoch, at, steps, value: calls.append(at))
        step(1, 1, 10, None)
        other = Lease.begin(FolderStorage(tmp_path), "", 2, 120.0)
        assert other is not None
        with pytest.raises(LeaseLostError, match="was taken over by process"):
            held.publish(TRIAL, ENDED)
        with pytest.raises(LeaseLostError):
            step(1, 2, 10, None)
        other.release()
    assert calls == [1]
    assert not (tmp_path / TRIAL).exists()


def test_of_two_results_the_first_counts_whatever_the_leases_say(tmp_path: Path) -> None:
    with hold_run_folder(tmp_path, CPU) as held:
        assert create_whole(tmp_path / TRIAL, b"of another process")
        with pytest.raises(LeaseLostError, match=f"finished {tmp_path} first, and its {TRIAL} counts"):
            held.publish(TRIAL, ENDED)
    assert (tmp_path / TRIAL).read_bytes() == b"of another process"


def test_a_record_that_was_there_before_is_replaced(tmp_path: Path) -> None:
    failed = TrialRecord(accuracies=(), pruned=False, seconds=0.0, error="the loss was NaN")
    for record in (failed, ENDED):
        with hold_run_folder(tmp_path, CPU) as held:
            held.publish(TRIAL, record)
        assert read_trial(tmp_path / TRIAL) == record
