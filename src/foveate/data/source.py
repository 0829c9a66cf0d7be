"""Where images come from: what can be said of a request for them before anything is read or imported."""

import re
from pathlib import Path

from foveate.errors import RequestError
from foveate.records.file_names import STUDY

__all__ = ["DIGITS", "HUB_NAME", "SMALLEST_IMAGE", "check_source", "image_folder", "is_hub_name"]

DIGITS = "digits"
"""The name of the embedded set."""
SMALLEST_IMAGE = 4
"""Side in pixels of the smallest square that a network may be given."""
HUB_NAME = re.compile(r"(?P<path>\w[\w.-]*/\w[\w.-]*)(:(?P<config>[\w.-]+))?")


def check_source(source: str) -> None:
    """Raise RequestError unless `source` is a folder, the name of the embedded set, or a hub name."""
    root = Path(source).expanduser()
    if image_folder(source):
        return
    if root.is_dir() and source != DIGITS:
        raise RequestError(f"{source!r} is the folder of a study, and holds no images")
    if root.exists() and not root.is_dir():
        raise RequestError(f"{source!r} is a file: give the folder that contains it")
    if source != DIGITS and not is_hub_name(source):
        raise RequestError(
            f"there is no folder {source!r}, and it is not 'digits' or a hub name (owner/name, "
            "owner/name:config)"
        )


def image_folder(source: str) -> Path | None:
    """Return the folder that `source` names; None for a name, and for the folder of a study.

    A study of the embedded digits may be in a folder called digits.
    """
    root = Path(source).expanduser()
    return root if root.is_dir() and not (root / STUDY).is_file() else None


def is_hub_name(source: str) -> bool:
    """Return whether `source` has the form owner/name or owner/name:config."""
    return HUB_NAME.fullmatch(source) is not None
