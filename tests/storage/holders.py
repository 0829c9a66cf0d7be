"""Processes that take leases and say what came of it; none of them may ask for the time of day."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

PROGRAM = """
import sys, time

def refuse(*_):
    raise AssertionError("the time of day was asked for")

place, expiry, machine = sys.argv[1], float(sys.argv[2]), sys.argv[3]
from foveate.storage import holder
from foveate.storage.folder import FolderStorage
from foveate.storage.lease import HeldError, LeaseLostError, take
from pathlib import Path

if machine:
    holder._this_machine = lambda: machine
if "://" in place:  # its requests are signed with the time
    from foveate.storage.connect import open_remote

    storage = open_remote(place)
else:
    assert "fcntl" not in sys.modules  # and no lock of the system is used
    time.time = time.time_ns = time.localtime = time.gmtime = refuse
    storage = FolderStorage(Path(place))
held = {}
print("ready", flush=True)
for line in sys.stdin:
    word, name = line.split()
    try:
        if word == "take":
            held[name] = take(storage, name, expiry=expiry)
            answer = f"generation {held[name].generation}"
        elif word == "release":
            held.pop(name).release()
            answer = "released"
        elif word == "check":
            held[name].check()
            answer = "holds"
        else:
            answer = str(storage.create(f"{name}/result.json", machine.encode() or b"a process"))
    except (HeldError, LeaseLostError) as error:
        answer = type(error).__name__
    print(answer, flush=True)
"""


class Holder:
    """A process that takes leases in the storage at `place`, as from another `machine` if that is named."""

    def __init__(self, place: Path | str, expiry: float = 120.0, machine: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(place), str(expiry), machine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},  # of other packages, which ask for the time
        )

    def say(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, words: str) -> str:
        self.say(words)
        return self.hear()

    def __enter__(self) -> Self:
        assert self.hear() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()
