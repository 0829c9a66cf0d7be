"""Where numba, LLVM or the OpenMP runtime does not offer what the CPU kernels use, results are the same."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from foveate.kernels.anatomy import KERNELS

openmp = pytest.importorskip("foveate.kernels.numba.openmp")

COMPARE = f"""
import os, sys, torch, foveate
sys.path.insert(0, {str(Path(__file__).parent)!r})
from mechanism_cases import assert_equal, build, by_equations, images
from foveate.kernels import choose_path
torch.set_num_threads(3)
torch.use_deterministic_algorithms(True)  # fills new memory with NaN
for name in os.environ.get("COMPARED", {" ".join(KERNELS)!r}).split():
    module, x = build(name, 20), images((2, 20, 9, 7))
    with torch.inference_mode():
        for _ in range(2):
            assert_equal(module(x), by_equations(module, x))
        print(name, *choose_path(module, x, name)[:2])
"""


def run(before: str, environment: dict[str, str] | None = None) -> list[str]:
    """Compare every mechanism with its equations in a new process, after the statements `before`."""
    done = subprocess.run(
        [sys.executable, "-c", before + COMPARE],
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.full  # compiles every kernel in a process of its own
def test_fewer_threads_than_asked_for() -> None:
    """The OpenMP runtime may start fewer threads; then they do all of the work."""
    run("", {"OMP_THREAD_LIMIT": "2", "OMP_DYNAMIC": "false"})


@pytest.mark.full
def test_without_an_openmp_runtime_kernels_run_in_one_thread() -> None:
    said = run(
        "import torch; torch.backends.openmp.is_available = lambda: False\n"
        "from foveate.kernels.numba.openmp import SINGLE_THREAD; assert SINGLE_THREAD"
    )
    assert said == [f"{name} numba the fastest there is" for name in KERNELS]


@pytest.mark.parametrize("lacking", ["no such flag, as on Windows", "no library", "no entry points"])
def test_a_system_without_a_fitting_runtime(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if lacking.startswith("no such flag"):
        monkeypatch.delattr(os, "RTLD_NOLOAD", raising=False)
    elif lacking == "no library":
        monkeypatch.setattr(openmp.ctypes, "CDLL", Mock(side_effect=OSError))
    else:
        monkeypatch.setattr(openmp, "BARRIER", "no_such_function")
    assert openmp._runtime.__wrapped__() is None


@pytest.mark.parametrize(
    "names", ["dmsca", pytest.param(" ".join(KERNELS), marks=pytest.mark.full)], ids=lambda names: names
)
def test_without_the_llvm_code_the_equations_run(names: str, tmp_path: Path) -> None:
    broken = (
        "from llvmlite import ir\n"
        "def refuse(*args, **kwargs): raise AttributeError('IRBuilder has no inttoptr')\n"
        "ir.IRBuilder.inttoptr = refuse\n"
    )
    # A cache of its own: nothing is compiled there.
    said = run(broken, {"NUMBA_CACHE_DIR": str(tmp_path), "COMPARED": names})
    assert [line.split()[:2] for line in said] == [
        [name, "rearranged" if name == "dmsca" else "reference"] for name in names.split()
    ]
    assert all("no numba: its kernels cannot be loaded here (" in line for line in said)
