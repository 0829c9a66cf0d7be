"""Where an examination of trained networks runs, and where its record goes."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ExaminationSettings"]


@dataclass(frozen=True, kw_only=True)
class ExaminationSettings:
    """Where an examination runs, and where its record goes.

    Attributes:
        out: Folder for the record and its report; by default the folder of the study.
        device: Device to run on: auto, cpu, cuda, cuda:N or mps.
        threads: Number of CPU threads; by default the available cores.
    """

    out: Path | None = None
    device: str = "auto"
    threads: int | None = None
