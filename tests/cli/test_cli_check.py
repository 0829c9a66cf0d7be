"""`foveate check` as a person gives it: what is printed, the JSON, exit statuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from foveate.inspection.check.promises import PROMISES
from foveate.records.check import CheckRecord, LikeRecord
from foveate.records.files import read_record

InProcess = Callable[..., int]


def test_a_builtin_keeps_all_and_its_costs_are_shown(
    tmp_path: Path, in_process: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("check", "eca", "--channels", "16", "--json", "check.json", folder=tmp_path) == 0
    printed = capsys.readouterr().out
    assert f"eca keeps all {len(PROMISES)} promises that apply" in printed
    assert max(map(len, printed.splitlines())) <= 100
    for promise in PROMISES.values():
        assert promise.title in printed
    record = read_record(tmp_path / "check.json", CheckRecord)
    assert {row.verdict for row in record.promises} == {"kept"}
    assert [row.module for row in record.figures] == ["se", "dmsca", "eca"]
    assert record.to_json() == json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))


IN_PLACE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, channels, power=1.0):
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.power = power

    def forward(self, x):
        x *= torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True))) ** self.power
        return x
"""


def test_a_broken_promise_that_training_needs_ends_with_1(
    tmp_path: Path, in_process: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(IN_PLACE, encoding="utf-8")
    arguments = ("check", "mine.py:Mine(power=2.0)", "--channels", "8", "--only", "shape,input_unchanged")
    assert in_process(*arguments, folder=tmp_path) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "breaks 1 of 2 promises that apply; 1 of them is needed for training" in printed
    assert "input_unchanged: input changed in place (mine.py:12) (2, 8, 1, 1) float32 in eval" in printed


def test_promises_can_be_chosen(
    tmp_path: Path, in_process: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("check", "se", "--channels", "16,32", "--only", "shape,bounded", "--json", "-")
    assert in_process(*arguments, folder=tmp_path) == 0
    said = capsys.readouterr()
    assert "se keeps all 2 promises that apply" in said.err
    record = json.loads(said.out)
    assert [row["promise"] for row in record["promises"]] == ["shape", "bounded"]
    assert record["channels"] == [16, 32]


def test_a_comparison_with_a_builtin_ends_with_0_for_the_same_and_1_for_another(
    tmp_path: Path, in_process: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("check", "cbam", "--like", "cbam", folder=tmp_path) == 0
    assert "cbam and cbam are the same function" in capsys.readouterr().out
    arguments = ("check", "cbam(kernel_size=3)", "--like", "cbam", "--json", "like.json")
    assert in_process(*arguments, folder=tmp_path) == 1
    printed = capsys.readouterr().out
    assert "differ in 1 known way" in printed
    assert "kernel: the spatial convolution is 3×3 in place of 7×7" in printed
    record = read_record(tmp_path / "like.json", LikeRecord)
    assert [(row.part, row.value) for row in record.differences] == [("kernel", "3")]
    assert record.largest_difference is None


def test_channels_that_do_not_fit_are_a_wrong_request(
    tmp_path: Path, in_process: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("check", "se", "--channels", "4", "--only", "shape", folder=tmp_path) == 2
    assert "pass reduction <= 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("print('hello')", 0, "hello"),
        ("raise SystemExit(0)", 1, "mine.py:Mine ends the program that runs it"),
    ],
)
def test_what_a_module_prints_or_ends_is_kept_apart(
    tmp_path: Path,
    in_process: InProcess,
    capsys: pytest.CaptureFixture[str],
    line: str,
    status: int,
    words: str,
) -> None:
    text = IN_PLACE.replace("        x *= ", f"        {line}\n        x = x * ")
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    arguments = ("check", "mine.py:Mine", "--channels", "8", "--only", "shape", "--json", "-")
    assert in_process(*arguments, folder=tmp_path) == status
    printed = capsys.readouterr()
    assert words in printed.err
    if status == 0:
        assert json.loads(printed.out)["module"] == "mine.py:Mine"
