"""foveate as a person starts it: a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

FOVEATE = [sys.executable, "-W", "error::DeprecationWarning:foveate", "-m", "foveate.cli"]


def foveate(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it in `cwd` with these variables in its environment, and give what it wrote and its status."""
    return subprocess.run(
        [*FOVEATE, *arguments],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
