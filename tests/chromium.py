"""The browser of the tests that open pages: which one, how it is installed, whether tests may do without.

    python tests/chromium.py    # install Chromium if there is none and this user may

FOVEATE_BROWSER=required: the tests fail where there is none, instead of skipping those that open pages.
FOVEATE_BROWSER=none: nothing is installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

__all__ = ["CHROMIUM", "find_chromium", "install", "missing"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
VARIABLE = "FOVEATE_BROWSER"
QUICK = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15")
UPDATE_SECONDS, INSTALL_SECONDS = 120, 900


def find_chromium() -> str | None:
    """Return the path of a Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


CHROMIUM = find_chromium()


def missing(chromium: str | None, environment: Mapping[str, str]) -> str | None:
    """Return why the tests cannot run: a browser is required, and there is none. None if they can."""
    if chromium or environment.get(VARIABLE) != "required":
        return None
    return f"{VARIABLE}=required, but none of {', '.join(NAMES)} is on PATH: python tests/chromium.py"


def commands(is_root: bool, has: Callable[[str], object]) -> tuple[list[str], list[str]] | None:
    """Return what updates the list of packages and what installs Chromium; None where neither is possible."""
    if not has("apt-get") or not (is_root or has("sudo")):
        return None
    apt = [*([] if is_root else ["sudo", "-n"]), "apt-get", "-q", *QUICK]
    return [*apt, "update"], [*apt, "install", "-y", "--no-install-recommends", "chromium"]


def install(
    environment: Mapping[str, str] = os.environ, find: Callable[[], str | None] = find_chromium
) -> str:
    """Install Chromium if there is none and it is allowed; return a line on what came of it."""
    if found := find():
        return f"Pages are opened in {found}."
    without = "the tests that open pages in a browser will be skipped"
    if environment.get(VARIABLE) == "none":
        return f"{VARIABLE}=none: {without}."
    planned = commands(os.geteuid() == 0, shutil.which)
    if planned is None:
        return f"No Chromium, and it cannot be installed here (apt-get, as root or by sudo): {without}."
    print(
        "Installing Chromium by apt-get for the tests that open pages: "
        "81 MB, and what it needs (7 s from a near mirror) …",
        flush=True,
    )
    for command, seconds in zip(planned, (UPDATE_SECONDS, INSTALL_SECONDS), strict=True):
        failed = _run(command, seconds, environment)
    if found := find():
        return f"Pages are opened in {found}."
    return f"WARNING: Chromium could not be installed ({failed}): {without}."


def _run(command: Sequence[str], seconds: float, environment: Mapping[str, str]) -> str:
    """Run `command` and return the last line of what it wrote, or that it took too long."""
    try:
        done = subprocess.run(
            command,
            env={**environment, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:g} s"
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {done.returncode}"


if __name__ == "__main__":
    print(install(), file=sys.stderr)
