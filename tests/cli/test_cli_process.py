"""The command as a process: interrupted early, terminated, with standard streams that take nothing."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import foveate_command
from foveate.cli.process import Terminated, describe_os_error, flush_streams, print_error, terminable
from foveate.studies.engine.executors.reaper import reaper, watch_over

FULL = Path("/dev/full")
needs_dev_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")


def test_ctrl_c_while_torch_is_imported_has_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "foveate_command", "profile", "--backbone", "resnet18", "--attention", "se"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not loads_torch(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "foveate: interrupted\n"
    assert process.returncode == 130


def loads_torch(process: int) -> bool:
    """Whether the process has begun to load torch's libraries; without /proc, guess by the clock."""
    maps = Path(f"/proc/{process}/maps")
    if not maps.exists():
        time.sleep(1)
        return True
    return "/torch/" in maps.read_text()


def test_sigterm_comes_as_an_exception_and_the_old_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_reaper_ends_what_it_was_told_of() -> None:
    worker = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    with reaper() as listening:
        watch_over(listening, [worker.pid])
        assert worker.poll() is None
    assert worker.wait(timeout=10) == -signal.SIGKILL


@needs_dev_full
def test_a_full_standard_output_is_said(
    tmp_path: Path,
    in_process: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with FULL.open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert in_process("--version", folder=tmp_path) == 1
    assert capsys.readouterr().err == "foveate: cannot write to standard output: No space left on device\n"


def test_a_reader_that_has_gone_is_no_fault_to_speak_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as gone:
        gone.write("x")
        monkeypatch.setattr(sys, "stdout", gone)
        assert flush_streams(0) == 1
    assert capsys.readouterr().err == ""


def test_closed_streams_are_nobody_to_talk_to(
    tmp_path: Path, in_process: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    print_error("nothing")
    assert in_process("report", "nowhere", folder=tmp_path) == 2
    assert in_process("list", "--json", "-", folder=tmp_path) == 1


def test_what_the_system_refuses_is_said_with_its_path() -> None:
    assert describe_os_error(PermissionError(errno.EACCES, "Permission denied", "/root/x")) == (
        "Permission denied: /root/x"
    )


def test_a_path_that_is_too_long_is_a_wrong_request(
    tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["report", "x" * 5000], ["compare", "x" * 5000], ["list", "--json", "x" * 5000]):
        assert in_process(*arguments, folder=tmp_path) == 2
        assert "File name too long" in capsys.readouterr().err


def test_json_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for path, said in ((".", "is a folder"), ("file/x.json", "no folder that can be written to")):
        assert in_process("list", "--json", path, folder=tmp_path) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("set_by_user", "expected"),
    [
        ({}, "3000 None"),
        ({"GOMP_SPINCOUNT": "7"}, "7 None"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE"),
    ],
    ids=str,
)
def test_threads_sleep_soon_unless_the_user_says_how_they_wait(
    set_by_user: dict[str, str], expected: str
) -> None:
    code = (
        "import os, sys; sys.argv = ['foveate', '--version']\n"
        "import foveate_command\n"
        "try: foveate_command.main()\n"
        "except SystemExit: pass\n"
        "print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))\n"
        "assert 'torch' not in sys.modules"
    )
    base = {name: value for name, value in os.environ.items() if name not in foveate_command.SET_BY_USER}
    said = subprocess.run(
        [sys.executable, "-c", code], env=base | set_by_user, check=True, capture_output=True, text=True
    ).stdout
    assert said.splitlines()[-1] == expected
