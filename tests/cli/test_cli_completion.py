"""Shell completion: the commands, the flags, and the names that flags take, in a real bash."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from foveate.cli.completion import completion_of
from foveate.cli.main import COMMANDS, app
from foveate.evaluation.step import Mode
from foveate.kernels import PATHS
from foveate.known_names import mechanism_names
from foveate.profiling.settings import CHOICES
from foveate.profiling.spec import DTYPES, MEMORY_FORMATS
from foveate.studies.spec.ablation import ABLATIONS
from foveate.studies.spec.defaults import ABLATED
from foveate.training.recipe import named_recipes

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """What bash puts on the line, or offers, for these words of which the last is to be completed."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "photos").mkdir()
    (folder / "own.yaml").touch()
    command = folder / "bin" / "foveate"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m foveate_command "$@"\n')
    command.chmod(0o755)
    (folder / "completion").write_text(completion_of(app, "bash"))

    def run(*words: str) -> list[str]:
        given = " ".join(f"'{word}'" for word in ("foveate", *words))
        code = (
            f"source completion; COMP_WORDS=({given}); COMP_CWORD={len(words)}; _foveate; "
            'for one in "${COMPREPLY[@]}"; do printf "%s\\n" "$one"; done'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", code],
            cwd=folder,
            env=os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run


@needs_bash
def test_commands_and_flags_are_completed(complete: Callable[..., list[str]]) -> None:
    assert complete("") == list(COMMANDS)
    assert complete("com") == ["compare", "completion"]
    assert sorted(complete("compare", "--back")) == ["--backbone", "--backbones"]


@needs_bash
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["compare", "--attention", "dm"], ["dmsca"]),
        (["compare", "--attention", "none,se,sim"], ["none,se,simam"]),
        (["compare", "--attention", "n"], ["none", "nam"]),
        (["compare", "--attention", "=", "dm"], ["dmsca"]),
        (["transfer", "run", "--attach", "n"], ["nam"]),
        (["sweep", "dm"], ["dmsca"]),
        (["ablate", "s"], ["sgfa"]),
        (["compare", "--backbone", "cifar_resnet20_dm"], ["cifar_resnet20_dmsca"]),
        (["compare", "--backbone", "torchvision/resnet15"], ["torchvision/resnet152"]),
        (["compare", "--backbones", "resnet18,convnextv2_pi"], ["resnet18,convnextv2_pico"]),
        (["compare", "--recipe", "sgfa"], ["sgfa_cifar10", "sgfa_cifar10_sgd"]),
        (["compare", "--recipe", "o"], ["own.yaml"]),
        (["compare", "--data", "d"], ["digits"]),
        (["compare", "--data", "ph"], ["photos/"]),
        (["plan", "--set", "label"], ["label_smoothing="]),
        (["compare", "--precision", "b"], ["bf16-mixed"]),
        (["compare", "--control", "m"], ["macs"]),
        (["compare", "--log", ""], ["none", "csv", "tensorboard"]),
        (["robustness", "run", "--corruptions", "fog,sn"], ["fog,snow"]),
        (["report", "x", "--against", "s"], ["sgfa-article"]),
        (["completion", "f"], ["fish"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_names_are_completed_where_a_flag_takes_them(
    words: list[str], expected: list[str], complete: Callable[..., list[str]]
) -> None:
    assert complete(*words) == expected


@needs_bash
def test_all_names_are_offered(complete: Callable[..., list[str]]) -> None:
    assert complete("compare", "--attention", "") == ["none", *mechanism_names()]
    assert set(named_recipes()) < set(complete("compare", "--recipe", ""))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_calls_back_for_names(
    shell: str, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert in_process("completion", shell, "--out", "script", folder=tmp_path) == 0
    assert in_process("completion", shell, folder=tmp_path) == 0
    written = capsys.readouterr().out
    assert written == (tmp_path / "script").read_text()
    assert "__complete" in written
    assert "skip-broken" in written


def test_an_unknown_shell_is_refused(
    in_process: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert in_process("completion", "bsh", folder=tmp_path) == 2
    assert "unknown shell 'bsh'. Did you mean 'bash'" in capsys.readouterr().err


def test_choices_are_those_of_the_code() -> None:
    assert tuple(ABLATIONS) == ABLATED
    assert {
        "dtype": tuple(DTYPES),
        "memory_format": tuple(MEMORY_FORMATS),
        "mode": get_args(Mode),
        "path": PATHS,
    } == CHOICES
