"""Chromium is installed where it may be, and where it is required its absence is no reason to skip."""

import os
from pathlib import Path

import pytest

import chromium
from chromium import commands, find_chromium, install, missing

INSTALLS = """#!/bin/sh
case "$*" in *install*) printf '#!/bin/sh\\n' > "$0.browser"; /bin/chmod +x "$0.browser"; \
/bin/mv "$0.browser" "${0%apt-get}chromium";; esac
"""
FAILS = "#!/bin/sh\necho 'E: Unable to locate package chromium' >&2; exit 100\n"


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH: a sudo that asks for no password, and what a test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    put(tmp_path / "sudo", '#!/bin/sh\nshift; exec "$@"\n')
    return tmp_path


def put(file: Path, script: str) -> None:
    file.write_text(script)
    file.chmod(0o755)


def test_it_is_installed_where_that_is_possible(only: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put(only / "apt-get", INSTALLS)
    assert install(os.environ) == f"Pages are opened in {only / 'chromium'}."
    assert "81 MB, and what it needs (7 s from a near mirror)" in capfd.readouterr().out
    assert install(os.environ) == f"Pages are opened in {only / 'chromium'}."
    assert capfd.readouterr().out == ""  # nothing to be done


def test_a_failure_is_a_warning_with_its_reason(only: Path) -> None:
    put(only / "apt-get", FAILS)
    assert install(os.environ) == (
        "WARNING: Chromium could not be installed (E: Unable to locate package chromium): "
        "the tests that open pages in a browser will be skipped."
    )


def test_an_answer_is_not_waited_for_without_end(only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "INSTALL_SECONDS", 0.1)
    put(only / "apt-get", '#!/bin/sh\ncase "$*" in *install*) exec /bin/sleep 60;; esac\n')
    assert "(no answer within 0.1 s)" in install(os.environ)


def test_nothing_is_installed_where_it_is_unwanted_or_impossible(only: Path) -> None:
    put(only / "apt-get", INSTALLS)
    assert install({"FOVEATE_BROWSER": "none"}).startswith("FOVEATE_BROWSER=none: ")
    (only / "apt-get").unlink()
    assert install(os.environ).startswith("No Chromium, and it cannot be installed here")
    assert find_chromium() is None


def test_who_is_not_root_asks_sudo_which_asks_for_no_password() -> None:
    planned = commands(False, {"apt-get", "sudo"}.__contains__)
    assert planned is not None
    assert [command[:3] for command in planned] == [["sudo", "-n", "apt-get"]] * 2
    assert commands(False, {"apt-get"}.__contains__) is None
    assert commands(True, {"apt-get"}.__contains__) is not None


def test_a_required_browser_that_is_not_there_fails_the_tests() -> None:
    required = {"FOVEATE_BROWSER": "required"}
    assert "FOVEATE_BROWSER=required, but none of chromium" in (missing(None, required) or "")
    assert missing("/usr/bin/chromium", required) is None
    assert missing(None, {}) is None
