"""`python -m foveate.run SCRIPT ARGS…`, which is also what torchrun starts in every process."""

import subprocess
import sys

import pytest

from foveate.run import main

SCRIPT = """\
import sys
import timm
from beside import CLASSES

if __name__ == "__main__":
    model = timm.create_model(sys.argv[sys.argv.index("--model") + 1], num_classes=CLASSES)
    print(sys.argv, model.num_classes, sum("attention" in name for name, _ in model.named_parameters()) > 0)
"""


def run(*arguments, cwd):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.fixture
def script(tmp_path):
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "beside.py").write_text("CLASSES = 3\n")
    file = folder / "train.py"
    file.write_text(SCRIPT)
    return file


def test_a_script_that_knows_timm_alone_finds_the_names_its_arguments_and_its_folder(script, tmp_path):
    (tmp_path / "beside.py").write_text("CLASSES = 99\n")  # the folder it is started in comes after its own
    name = "scripts/train.py"
    done = run("-m", "foveate.run", name, "--model", "cifar_resnet20_dmsca", "-b", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{[name, '--model', 'cifar_resnet20_dmsca', '-b', '2']} 3 True\n"


@pytest.mark.full  # of timm, in a process that imports torch
def test_without_it_timm_says_that_the_name_is_unknown(script, tmp_path):
    done = run(str(script), "--model", "cifar_resnet20_dmsca", cwd=tmp_path)
    assert done.returncode == 1
    assert "Unknown model (cifar_resnet20_dmsca)" in done.stderr


def test_the_exit_status_is_the_scripts(tmp_path, monkeypatch):
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "argv", sys.argv.copy())
    with pytest.raises(SystemExit) as end:
        main(["ends.py"])
    assert end.value.code == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "the first argument must be a script, got nothing"),
        (["--model", "resnet18_se"], "the first argument must be a script, got --model"),
        (["absent.py"], "there is no script 'absent.py' in "),
        (["folder"], "there is no script 'folder' in "),
    ],
)
def test_without_a_script_it_says_what_was_given_and_how_to_call_it(
    arguments, reason, tmp_path, capfd, monkeypatch
):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    message = capfd.readouterr().err
    assert end.value.code == 2
    assert reason in message
    assert "python -m foveate.run train.py --model resnet50_dmsca" in message
