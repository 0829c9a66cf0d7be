"""Names from folders and files on the terminal and through a whole study."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.table import Table
from rich.text import Text

from foveate.cli.output import console_beside

RED, TURNED = "\x1b[31mred", "a\u202eb\x01\ufffe"
SMALL = ("--backbone", "cifar_resnet8", "--attention", "none", "--seeds", "1", "--epochs", "1")


def write_set(root: Path, *classes: str) -> None:
    """Images of 8×8 pixels, eight of each class."""
    generator = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8)).save(root / name / f"{i}.png")


def test_a_study_of_hostile_names_comes_to_its_report(
    tmp_path: Path, in_process: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """The last step, drawing, is where a control character would end the process, after all training."""
    root = tmp_path / os.fsdecode(b"s\xe9t\x1b[2J")
    write_set(root, RED, TURNED, "=1+1")
    (root / RED / "0.png").rename(root / RED / os.fsdecode(b"caf\xe9.png"))
    arguments = ["--data", str(root), *SMALL, "--batch-size", "8", "--out", "o", "--json", "-"]
    assert in_process("compare", *arguments, folder=tmp_path) == 0
    out, err = capfd.readouterr()
    assert "\x1b[31m" not in out + err
    assert "\x1b[2J" not in out + err
    json.loads(out)
    report = tmp_path / "o" / "report"
    per_class = (report / "per_class.csv").read_text()
    assert "\\x1b[31mred" in per_class
    assert "a\\u202eb\\x01\\ufffe" in per_class
    assert "'=1+1" in per_class
    assert (report / "index.html").is_file()


def test_an_error_names_a_file_without_commanding_the_terminal(
    tmp_path: Path, in_process: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    write_set(tmp_path / "set", "a", "b")
    (tmp_path / "set" / "a" / f"{RED}.png").write_bytes(b"")
    assert in_process("compare", "--data", "set", *SMALL, "--out", "o", folder=tmp_path) == 2
    err = capfd.readouterr().err
    assert "\\x1b[31mred.png: it is empty" in err
    assert "\x1b" not in err


def test_a_console_writes_control_characters_out_wherever_they_are(capsys) -> None:
    table = Table("head\x1b[2J")
    table.add_row(Text("cell\x1b]0;title\x07"))
    console_beside(None).print("text\x1b[31m\u202e", table, markup=False)
    written = capsys.readouterr().out
    for character in ("\x1b", "\x07", "\u202e"):
        assert character not in written
    for text in ("text\\x1b[31m\\u202e", "head\\x1b[2J", "cell\\x1b]0;"):
        assert text in written
