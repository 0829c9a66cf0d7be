"""A study as it is asked for on the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["StudyRequest"]


@dataclass(frozen=True)
class StudyRequest:
    """What was given, by what it belongs to; of what was left out the value is None."""

    file: Path | None
    study: dict[str, Any]
    recipe_changes: dict[str, Any]
    recipe_settings: list[str]
    out: Path | None
    machine: dict[str, Any]
    jobs: int
    against: str | None
    json: Path | None
