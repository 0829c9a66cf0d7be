"""What examines trained networks, as a person gives it: what is printed where, files, exit statuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import foveate


@pytest.fixture(scope="module")
def study(trained_bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished study that may be written to."""
    folder = tmp_path_factory.mktemp("examined") / "study"
    shutil.copytree(trained_bands, folder)
    return folder


COMMANDS = {
    "robustness": ["--corruptions", "brightness,gaussian_noise", "--severities", "1,5"],
    "explain": ["--show", "2", "--limit", "6"],
    "deploy": ["--seconds", "0", "--limit", "6"],
    "transfer": ["--to", "digits", "--how", "probe", "--limit", "60", "--train-fraction", "0.1"],
}


@pytest.mark.parametrize(
    ("command", "alone"),
    [
        # By default one of them in a process of its own; deploy exports each network, which takes long.
        pytest.param(
            command,
            alone,
            marks=[] if alone == (command == "robustness") and command != "deploy" else [pytest.mark.full],
        )
        for command in COMMANDS
        for alone in (False, True)
    ],
)
def test_a_study_is_examined_and_its_page_has_a_section(
    study: Path,
    command: str,
    alone: bool,
    in_process: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In this process, or as a person starts it, `alone`."""
    arguments = [command, str(study), *COMMANDS[command], "--json", "-"]
    if alone:
        done = foveate(*arguments, cwd=study.parent, COLUMNS="100")
        assert done.returncode == 0, done.stderr
        out, err = done.stdout, done.stderr
    else:
        monkeypatch.setenv("COLUMNS", "100")
        assert in_process(*arguments, folder=study.parent) == 0
        out, err = capfd.readouterr()
    summary = json.loads(out)
    assert summary["rows"]
    assert {network["label"] for network in summary["networks"]} == {"none", "se"}
    assert err.splitlines()[-1] == f"Report: {study}/report/index.html"
    for noise in ("Warning", "warn", "Traceback", "\x1b["):
        assert noise not in err
    page = (study / "report" / "index.html").read_text()
    assert f'<h2 id="{command}' in page
    record = next(study.glob(f"{command}*.json"))
    first = record.read_text()
    assert in_process(command, str(study), *COMMANDS[command], folder=study.parent) == 0
    assert json.loads(record.read_text())["rows"] == json.loads(first)["rows"]


def test_gates_are_examined_in_place_of_maps(
    study: Path, in_process: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["explain", str(study), "--gates", "--json", "-"]
    assert in_process(*arguments, folder=study.parent) == 0
    out, err = capfd.readouterr()
    summary = json.loads(out)
    assert [row["label"] for row in summary["rows"]] == ["se", "se"]
    assert err.startswith("gates …\nse: at ")
    assert '<h2 id="gates"' in (study / "report" / "index.html").read_text()
    assert (study / "report" / "gates_accuracy.tex").is_file()
    assert (study / "report" / "figures" / "gates_shares.svg").is_file()


def test_a_run_is_deployed_by_itself(
    study: Path, tmp_path: Path, in_process: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    run = next(path.parent for path in study.glob("runs/*/result.json"))
    arguments = [str(run), "--seconds", "0", "--limit", "6", "--out", "alone", "--json", "-"]
    assert in_process("deploy", *arguments, folder=tmp_path) == 0
    out, err = capfd.readouterr()
    summary = json.loads(out)
    assert [form["form"]["runtime"] for form in summary["summary"]["rows"][0]["forms"]] == [
        "torch",
        "onnxruntime",
        "onnxruntime",
    ]
    assert err.splitlines()[-1] == "Report: alone/report/index.html"
    assert '<h2 id="deployed"' in (tmp_path / "alone" / "report" / "index.html").read_text()


def test_a_run_by_itself_has_a_page_of_its_own(
    study: Path, tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run = next(path.parent for path in study.glob("runs/*/result.json"))
    out = tmp_path / "alone"
    arguments = [str(run), "--corruptions", "contrast", "--severities", "3", "--out", str(out)]
    assert in_process("robustness", *arguments, folder=tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Report: {out}/report/index.html"
    assert '<h2 id="robustness"' in (out / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["robustness", "nowhere/at/all"], "there is no nowhere/at/all"),
        (["robustness", "STUDY", "--corruptions", "fogg"], "fog"),
        (["robustness", "STUDY", "--severities", "6"], "6"),
        (["explain", "STUDY", "--method", "gradcam+"], "gradcam++"),
        (
            ["explain", "STUDY", "--layer", "layer9"],
            "unknown layer of CifarResNet 'layer9'. Did you",
        ),
        (["explain", "STUDY", "--gates", "--road", "5"], "--road is for heat maps, and --gates makes none"),
        (["explain", "STUDY", "--margin", "2"], "give --gates, too"),
        (["transfer", "STUDY", "--to", "digits", "--how", "prob"], "probe"),
        (["transfer", "STUDY", "--to", "digits", "--how", "direct"], "--classes"),
        (["look", "nowhere"], "nowhere"),
    ],
)
def test_wrong_requests_end_with_2(
    study: Path,
    arguments: list[str],
    message: str,
    in_process: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(study) if one == "STUDY" else one for one in arguments]
    assert in_process(*given, folder=study.parent) == 2
    assert message in capsys.readouterr().err


def test_networks_that_were_left_out_end_with_1(
    study: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--layer", "fc", "--limit", "3"]
    assert in_process("explain", str(study), *arguments, folder=study.parent) == 1
    said = capsys.readouterr().err
    assert "nothing could be examined" in said
    assert "layer 'fc' of CifarResNet" in said
