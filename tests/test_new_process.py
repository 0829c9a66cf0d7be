"""What only a program of its own shows: what it imports, what it lacks, a variable in its environment.

One process for all of it, as each pays for the import of torch.
"""

import json
import os
import subprocess
import sys
from typing import NamedTuple

import pytest

PROGRAM = """
import json, sys
sys.modules["pytorch_grad_cam"] = None
import torch, foveate.kernels.operators
found = {"kernels": [name for name in sys.modules if name.startswith("foveate.kernels.triton")]}

from foveate.evaluation.cam import cam_maps
try:
    cam_maps(torch.nn.Conv2d(3, 2, 1), "", torch.zeros(1, 3, 4, 4))
except ValueError as error:
    found["without grad-cam"] = str(error)

module = foveate.create_attention("dmsca", 16).eval()
with torch.inference_mode():
    module(torch.randn(1, 16, 4, 4))
    found["by the variable"] = foveate.kernel_paths(foveate.set_path(module, "auto"))[0][2:]
    found["by name"] = foveate.kernel_paths(foveate.set_path(module, "rearranged"))[0].path
print(json.dumps(found))
"""


class Found(NamedTuple):
    """What the program said of itself."""

    kernels: list[str]
    without_grad_cam: str
    by_the_variable: list[str]
    by_name: str


@pytest.fixture(scope="module")
def found() -> Found:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"FOVEATE_PATH": "reference"},
        capture_output=True,
        text=True,
        check=True,
    )
    return Found(*json.loads(done.stdout).values())


def test_declaring_the_operators_imports_no_kernel(found: Found) -> None:
    assert found.kernels == []


def test_grad_cam_is_loaded_where_it_is_used_and_missed_with_the_way_out(found: Found) -> None:
    assert "pip install 'foveate[explain]'" in found.without_grad_cam


def test_a_variable_asks_for_the_equations_in_a_whole_program(found: Found) -> None:
    assert found.by_the_variable == ["reference", "FOVEATE_PATH=reference"]
    assert found.by_name == "rearranged"
