"""How worker processes are started: real pools of processes."""

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from pathlib import Path

import pytest

from foveate.studies.engine.executors.processes import LocalProcesses
from foveate.studies.engine.watch import Watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each worker imports everything")


@pytest.fixture(autouse=True)
def no_server():
    """End the server that tests of before started: it has their preloaded modules."""
    if forkserver._forkserver._forkserver_pid is not None:
        forkserver._forkserver._stop()


def own_megabytes():
    """Memory that this process shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def make_looker(worker):
    return look


def look(run, watch):
    modules = {"torch", "lightning.pytorch", "timm"} <= set(sys.modules)
    return os.getppid(), modules, own_megabytes(), os.environ.get("FOVEATE_TEST"), str(Path.cwd())


def test_workers_share_what_they_import(monkeypatch, tmp_path):
    """Alone, torch and the other packages take over 400 MB of a process."""
    monkeypatch.setenv("FOVEATE_TEST", "of now")
    monkeypatch.chdir(tmp_path)
    found = [outcome() for _, outcome in LocalProcesses(2).carry_out([1, 2, 3], Watch(), make_looker)]
    parents, modules, megabytes, variables, folders = zip(*found, strict=True)
    assert set(modules) == {True}
    assert max(megabytes) < 100
    assert set(variables) == {"of now"}
    assert set(folders) == {str(tmp_path)}
    (server,) = set(parents)
    assert server != os.getpid()
    assert not Path(f"/proc/{server}").exists()
    assert multiprocessing.active_children() == []
