"""The folder of the user for what can be made again."""

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return the cache folder of foveate: below XDG_CACHE_HOME, or where the system keeps caches."""
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "foveate"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "foveate" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/foveate"
    return Path.home() / ".cache/foveate"
