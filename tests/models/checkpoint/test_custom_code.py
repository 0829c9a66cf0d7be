"""Attention that is not foveate's in a weights file: its code is kept as text, and runs when asked for."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import timm
import torch
from torch import nn

import foveate
from custom_modules import write_mine
from foveate.attention import find_custom
from foveate.errors import RequestError
from foveate.models.checkpoint.description import KEY

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def network(given: Any, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return foveate.attach(
        timm.create_model("resnet18", num_classes=3, zero_init_last=False).eval(), given, **options
    )


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, torch.Tensor]:
    """A file of weights whose mine.py is gone, and the network's output."""
    model = network(f"{write_mine(tmp_path / 'code', 0.5)}:Mine", reduction=16)
    foveate.save(model, tmp_path / "weights.safetensors")
    (tmp_path / "code" / "mine.py").unlink()
    (tmp_path / "code" / "helper.py").unlink()
    return tmp_path / "weights.safetensors", model(X)


def test_code_of_a_file_is_not_run_unasked(saved: tuple[Path, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(
        RequestError, match=r"mine.py:Mine \w{12}\), and code from a file runs only where you ask"
    ):
        foveate.load(saved[0])
    with pytest.raises(RequestError, match="runs only where you ask"):
        foveate.load(saved[0], timm.create_model("resnet18", num_classes=3, zero_init_last=False))


def test_the_kept_source_is_run_if_it_is_trusted(saved: tuple[Path, torch.Tensor]) -> None:
    path, expected = saved
    loaded = foveate.load(path, trust_code=True)
    assert torch.equal(loaded(X), expected)
    foveate.save(loaded, path.with_name("again.safetensors"))  # with the source
    assert torch.equal(foveate.load(path.with_name("again.safetensors"), trust_code=True)(X), expected)


def test_a_class_of_the_callers_is_used_for_its_name(
    saved: tuple[Path, torch.Tensor], tmp_path: Path
) -> None:
    path, expected = saved
    place = f"{write_mine(tmp_path / 'new', 0.5)}:Mine"
    own = find_custom(place)
    assert own is not None
    for given in (place, own.make, [own.make]):
        assert torch.equal(foveate.load(path, attention=given)(X), expected)
    with pytest.raises(RequestError, match="attention= is mine.py:Bare, and .* was saved with mine.py:Mine"):
        foveate.load(path, attention=f"{tmp_path}/new/mine.py:Bare")


def test_a_class_of_a_package_is_kept_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mine(tmp_path / "kept_pack", 0.5)
    text = (tmp_path / "kept_pack" / "mine.py").read_text().replace("from helper", "from .helper")
    (tmp_path / "kept_pack" / "mine.py").write_text(text)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        model = network("kept_pack.mine:Mine", reduction=16)
    foveate.save(model, tmp_path / "weights.safetensors")
    loaded = foveate.load(tmp_path / "weights.safetensors", trust_code=True)
    assert torch.equal(loaded(X), model(X))


def test_a_function_without_a_name_must_be_given_again(tmp_path: Path) -> None:
    class Scale(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.full((channels, 1, 1), 0.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale * x

    model = network(Scale)
    path = tmp_path / "weights.safetensors"
    with pytest.warns(UserWarning, match="the source of Scale is in no file that can be kept"):
        foveate.save(model, path)
    with pytest.raises(RequestError, match=r"unknown attention mechanism 'Scale'.*as attention="):
        foveate.load(path, trust_code=True)
    assert torch.equal(foveate.load(path, attention=Scale)(X), model(X))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"main": "other.py"}, "texts, the main one among them"),
        ({"files": {"mine.py": 3}}, "texts, the main one among them"),
        ({"files": {"mine.py": "", "../out.py": ""}}, "a .py file within a folder"),
        ({"files": {"mine.py": "", "/out.py": ""}}, "a .py file within a folder"),
        ({"files": {"mine.py": "", "mine.sh": ""}}, "a .py file within a folder"),
        ({"more": 1}, "an object with main and files"),
    ],
)
def test_sources_that_could_leave_their_folder_are_refused(
    saved: tuple[Path, torch.Tensor], change: dict[str, Any], words: str
) -> None:
    path, _ = saved
    with safetensors.safe_open(path, "pt") as file:
        about = json.loads(file.metadata()[KEY])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    about["sources"]["mine.py:Mine"] |= change
    safetensors.torch.save_file(tensors, path, {KEY: json.dumps(about)})
    with pytest.raises(RequestError, match=words):
        foveate.load(path, trust_code=True)


def test_files_without_own_code_are_written_as_before(tmp_path: Path) -> None:
    foveate.save(network("se"), tmp_path / "weights.safetensors")
    with safetensors.safe_open(tmp_path / "weights.safetensors", "pt") as file:
        assert "sources" not in json.loads(file.metadata()[KEY])
