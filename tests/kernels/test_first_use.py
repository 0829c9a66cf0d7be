"""What a person reads while kernels are compiled, and where they cannot be kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

USE = """
import torch, foveate
module = foveate.create_attention("simam", 8).eval()
with torch.inference_mode():
    module(torch.randn(1, 8, 4, 4))
print("done")
"""


def use(cache: str) -> str:
    """Use a kernel in a new process with its own cache; return what it says to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", USE],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "done\n"
    return done.stderr


def test_compiling_is_announced_once_and_loading_is_not(tmp_path: Path) -> None:
    first, later = use(str(tmp_path)), use(str(tmp_path))
    assert first.count("compiling the CPU kernels 'simam'") == 1
    assert later == ""


def test_a_folder_that_cannot_be_written_to_is_named_once() -> None:
    said = use("/proc/nowhere")  # not even root can make a folder there
    assert said.count("cannot be kept in /proc/nowhere/foveate/") == 1
    assert "NUMBA_CACHE_DIR" in said
