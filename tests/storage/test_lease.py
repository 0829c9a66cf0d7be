import os
import pickle
import signal
import threading
import time
from pathlib import Path

import pytest

from foveate.storage.folder import FolderStorage
from foveate.storage.holder import Holder as Process
from foveate.storage.holder import this_process
from foveate.storage.lease import HeldError, Lease, LeaseLostError, take
from storage.holders import Holder

ROUNDS = 150


def test_of_two_processes_one_has_the_lease(tmp_path: Path) -> None:
    with Holder(tmp_path) as one, Holder(tmp_path) as two:
        for number in range(ROUNDS):
            for racer in (one, two):
                racer.say(f"take r{number}")
            assert sorted((one.hear(), two.hear())) == ["HeldError", "generation 1"]


def test_of_two_processes_one_takes_over_from_a_killed_one_and_at_once(tmp_path: Path) -> None:
    with Holder(tmp_path) as first:
        assert {first.ask(f"take r{number}") for number in range(ROUNDS)} == {"generation 1"}
        first.process.kill()
        first.process.wait()
    began = time.monotonic()
    with Holder(tmp_path) as one, Holder(tmp_path) as two:
        for number in range(ROUNDS):
            for racer in (one, two):
                racer.say(f"take r{number}")
            assert sorted((one.hear(), two.hear())) == ["HeldError", "generation 2"]
    assert time.monotonic() - began < 100  # and not 150 times the 120 s after which others are taken for dead


def test_a_stopped_holder_that_wakes_up_publishes_nothing(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    with Holder(tmp_path, expiry=2.0) as holder:
        assert holder.ask("take run") == "generation 1"
        holder.process.send_signal(signal.SIGSTOP)
        with pytest.raises(HeldError, match=rf"process {holder.process.pid} on "):
            take(storage, "run", expiry=2.0)  # it exists, so whoever does not wait is refused
        began = time.monotonic()
        with take(storage, "run", expiry=2.0, patience=300) as lease:
            assert time.monotonic() - began >= 2.0
            assert lease.generation == 2
            assert storage.create("run/result.json", b"of the second")
            holder.process.send_signal(signal.SIGCONT)
            assert holder.ask("check run") == "LeaseLostError"
            assert holder.ask("create run") == "False"  # even if it was stopped after its check
            assert holder.ask("release run") == "released"
        assert storage.read("run/result.json") == b"of the second"
        assert sorted(storage.names("run")) == [
            ".lease-2",
            "result.json",
        ]


def test_a_holder_elsewhere_is_at_work_while_its_counter_changes_and_dead_when_it_does_not(
    tmp_path: Path,
) -> None:
    storage, notes = FolderStorage(tmp_path), []
    with Holder(tmp_path, expiry=4.0, machine="elsewhere") as holder:
        assert holder.ask("take run") == "generation 1"
        for shift in (-3600, 3600):  # what the file system says of the time plays no part either
            os.utime(tmp_path / "run/.lease-1", (time.time() + shift, time.time() + shift))
            with pytest.raises(HeldError, match=f"process {holder.process.pid}"):
                take(storage, "run", expiry=300.0)
        holder.process.kill()
        holder.process.wait()
    began = time.monotonic()
    with take(storage, "run", expiry=4.0, say=notes.append) as lease:
        assert time.monotonic() - began >= 4.0
        assert lease.generation == 2
    assert len(notes) == 1
    assert "waiting for it to end" in notes[0]


def test_a_released_lease_is_free_and_its_thread_has_ended(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    for number in range(1, 4):
        with take(storage, expiry=300.0) as lease:
            assert lease.generation == number
            lease.check()
            assert any(thread.name.startswith("lease") for thread in threading.enumerate())
        assert storage.names("") == [f".lease-{number}"]
        assert not any(thread.name.startswith("lease") for thread in threading.enumerate())
    with pytest.raises(LeaseLostError, match="was released"):
        lease.check()


def test_an_old_number_that_is_free_again_is_not_the_newest(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    for _ in range(4):
        take(storage).release()
    with take(storage) as lease:
        assert Lease.begin(storage, "", 2, 120.0) is None
        assert storage.names("") == [".lease-5"]
        lease.check()


def test_a_holder_whose_file_is_deleted_has_lost_its_lease(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    with take(storage) as lease:
        storage.delete(".lease-1")
        with pytest.raises(LeaseLostError):
            lease.check()
    assert storage.names("") == []  # and nothing is written at its end


def test_a_half_written_lease_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / ".lease-1").write_bytes(b'{"token": "12')
    began = time.monotonic()
    with take(FolderStorage(tmp_path), expiry=0.5) as lease:
        assert time.monotonic() - began >= 0.5
        assert lease.generation == 2


def test_a_process_is_known_by_its_start() -> None:
    here = this_process()
    assert here.is_here()
    assert not here.is_gone()
    assert here.started is not None
    again = Process(here.host, here.process, here.machine, here.started + 1)  # the same id, given again
    assert again.is_gone()
    assert not Process(here.host, here.process, "elsewhere", 1).is_gone()


def test_an_error_of_a_worker_process_arrives_whole() -> None:
    error = pickle.loads(pickle.dumps(HeldError(Process("gpu7", 12), "runs/a")))
    assert str(error) == "runs/a is taken by process 12 on gpu7"
    assert error.holder.process == 12
