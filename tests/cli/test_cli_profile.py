"""`foveate profile` as a person gives it: what is printed where, the files, exit statuses."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import foveate

PROFILE = ["profile", "--backbone", "cifar_resnet8", "--device", "cpu", "--threads", "1", "--seconds", "0"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("profile")
    arguments = ["--attention", "simam,dmsca(reduction=8)", "--detail", "--json", "-", "--out", "page"]
    return folder, foveate(*PROFILE, *arguments, cwd=folder)


def test_json_alone_is_on_standard_output(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, process = done
    assert process.returncode == 0, process.stderr
    record = json.loads(process.stdout)
    assert [row["attention"] for row in record["rows"]] == ["none", "simam", "dmsca(reduction=8)"]
    assert "--attention 'simam,dmsca(reduction=8)'" in record["command"]
    assert record["rows"][1]["element_wise_added"] > 0
    assert json.loads((folder / "page" / "profile.json").read_text(encoding="utf-8")) == record


def test_people_get_progress_tables_and_the_page_and_no_noise(
    done: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, process = done
    for said in ("counting the work …", "timing, in turns …", "baseline", "bound by memory", "gce"):
        assert said in process.stderr
    assert "Report: page/index.html" in process.stderr
    assert (folder / "page" / "index.html").is_file()
    assert max(map(len, process.stderr.splitlines())) <= 100
    for noise in ("Warning", "warn", "profiler", "Traceback", "\x1b["):
        assert noise not in process.stderr


def test_energy_of_this_machine_is_counted_or_its_absence_is_said_in_a_line(
    tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*PROFILE, "--attention", "none", "--energy", "--json", "profile.json"]
    assert in_process(*asked, folder=tmp_path) == 0
    output = capsys.readouterr()
    said = " ".join(output.out.split())
    record = json.loads((tmp_path / "profile.json").read_text(encoding="utf-8"))
    if "missing" in record["energy"]:
        assert f"Energy was not measured: {record['energy']['missing']}." in said
        assert "Joules per 1,000 images" not in said
    else:
        assert f"Energy was counted by {record['energy']['counter']}" in said
        assert record["rows"][0]["energy"]["joules_per_1000_images"] > 0
    assert "nvml" not in output.err.lower()


def test_nothing_is_written_unasked(
    tmp_path: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process(*PROFILE, "--attention", "none", folder=tmp_path) == 0
    assert "there is nothing to compare it with" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--attention", "dmcsa"], 2, "unknown attention 'dmcsa'. Did you mean 'dmsca'?"),
        (["--attention", "se", "--out", "taken/page"], 2, "taken is no folder that can be written to"),
        (["--attention", "se", "--batch-size", "0"], 2, "--batch-size"),
        (["--attention", "se", "--graph"], 2, "leave out --graph"),
        (
            ["--attention", "se", "--batch-size", "1000000000"],
            1,
            "out of memory on cpu at a batch size of 10",
        ),
    ],
)
def test_status_and_message(
    arguments: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    in_process: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "taken").write_text("a file")
    assert in_process(*PROFILE, *arguments, folder=tmp_path) == status
    assert message in " ".join(capsys.readouterr().err.split())
