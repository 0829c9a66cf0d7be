"""Where an examination of trained networks runs, and where its record goes."""

from dataclasses import dataclass
from pathlib import Path

from foveate.errors import RequestError
from foveate.studies.spec.completers import Device

__all__ = ["ExaminationSettings", "check_port"]


@dataclass(frozen=True, kw_only=True)
class ExaminationSettings:
    """Where an examination runs, and where its record goes.

    Attributes:
        out: Folder for the record and its report; by default the folder of the study.
        device: Device to run on: auto, cpu, cuda, cuda:N or mps.
        threads: Number of CPU threads; by default the available cores.
        trust_code: Run the source code of mechanisms of your own, which the runs and files hold; by default
            they are refused.
    """

    out: Path | None = None
    device: Device = "auto"
    threads: int | None = None
    trust_code: bool = False


def check_port(port: int) -> None:
    """Raise RequestError unless `port` is the number of a port, or 0."""
    if not 0 <= port < 65536:
        raise RequestError(f"--port must be from 0 to 65535, got {port}")
