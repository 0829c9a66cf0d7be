"""The jobs that a study has submitted and that have not ended, in a file of its folder."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from foveate.files import write_json
from foveate.storage.holder import Holder, holder_of

__all__ = ["SUBMITTED", "end_earlier_jobs", "keep_submitted"]

SUBMITTED = "submitted.json"


def keep_submitted(folder: Path, jobs: Sequence[str], *, local: bool) -> None:
    """Write down `jobs`, by their ids; those of submitit's local executor are processes of this machine."""
    if local:
        found = [holder_of(int(job.partition("_")[0])) for job in jobs]
        write_json(folder / SUBMITTED, {"processes": [asdict(one) for one in found if one is not None]})
    else:
        arrays = dict.fromkeys(job.partition("_")[0] for job in jobs)
        write_json(folder / SUBMITTED, {"arrays": list(arrays)})


def end_earlier_jobs(folder: Path) -> None:
    """End the jobs that were written down and go on: their runs are submitted again, and resume.

    A process that has the number of an earlier job, and is another one, is left alone.
    """
    path = folder / SUBMITTED
    if not path.is_file():
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    for described in content.get("processes", ()):
        job = Holder(**described)
        if job.is_here() and not job.is_gone():
            with suppress(OSError):
                os.kill(job.process, signal.SIGINT)
    if arrays := [str(array) for array in content.get("arrays", ())]:
        with suppress(OSError):  # Slurm's commands are gone
            subprocess.run(["scancel", *arrays], check=False, capture_output=True)
    path.unlink()
