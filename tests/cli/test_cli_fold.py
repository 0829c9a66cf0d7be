"""`foveate fold` as a person gives it: what is printed where, files, exit statuses."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from foveate.inspection.find_trained import find_trained


@pytest.fixture
def run(trained_bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run with SE in a copy of its study; latencies are taken in the fewest rounds."""
    from foveate.evaluation.cost import calmest_turns
    from foveate.inspection.fold import cost

    def briefly(*arguments: object, **options: object) -> object:
        return partial(calmest_turns, *arguments)(**(options | {"seconds": 0.0}))  # type: ignore[arg-type]

    monkeypatch.setattr(cost, "calmest_turns", briefly)
    study = tmp_path / "study"
    shutil.copytree(trained_bands, study)
    (one, *_) = [one for one in find_trained([str(study)]) if one.label == "se"]
    assert one.path is not None
    return one.path.parent


def test_a_run_is_folded_and_json_goes_alone_to_standard_output(
    run: Path,
    in_process: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert in_process("fold", str(run), "--max-loss", "40", "--json", "-", folder=run) == 0
    out, err = capfd.readouterr()
    summary = json.loads(out)
    assert summary["kind"] == "fold"
    assert summary["sentences"][0] in " ".join(err.split())
    assert "no attention is left" in summary["sentences"][0]
    assert {site["became"] for site in summary["sites"]} == {"folded"}
    assert "part of layer1.0.bn2" in err
    assert "Test accuracy on 18 images: " in err
    assert "95 % interval" in err
    assert "fold.safetensors" in err.splitlines()[-2] + err.splitlines()[-1]
    for noise in ("Warning", "Traceback", "\x1b["):
        assert noise not in err
    assert json.loads((run / "fold.json").read_text()).items() <= summary.items()


def test_a_wrong_request_ends_with_2_in_one_line(
    run: Path, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    study = run.parent.parent
    assert in_process("fold", str(study), folder=run) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is a whole study, and one network is folded at a time" in line
