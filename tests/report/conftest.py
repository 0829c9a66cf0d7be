from pathlib import Path

import pytest
from synthetic_study import DIGITS, write_study

from foveate.report.study.build import build_report


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a built report with a failed run and names of classes that would break out."""
    classes = ["<script>alert(1)</script>", "</script><img src=x>", "50 % & $_{|}", *DIGITS[3:]]
    folder = write_study(tmp_path_factory.mktemp("study"), classes=classes, failed=("cbam", 1))
    build_report(folder)
    return folder
