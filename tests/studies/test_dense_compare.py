"""The commands of studies on detectors and segmenters, each with networks that train in seconds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import foveate
from dense_sets import boxes_set, masks_set
from foveate.models.backbones.create import create_backbone
from foveate.records.study import read_study

DETECTOR = (
    "fasterrcnn(size=small,representation_size=32,rpn_pre_nms_top_n_train=60,rpn_post_nms_top_n_train=30,"
    "rpn_pre_nms_top_n_test=60,rpn_post_nms_top_n_test=30,box_batch_size_per_image=16)"
)
NETWORK = {"boxes": ("--detector", DETECTOR), "masks": ("--segmenter", "unet")}
OTHERS = ("--image-size", "64", "--epochs", "1", "--batch-size", "8", "--device", "cpu", "--seeds", "1")

MINE = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        return x * (1 + self.weight)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images with boxes and with masks, and a mechanism of a person's own."""
    root = tmp_path_factory.mktemp("dense")
    boxes_set(root / "boxes")
    masks_set(root / "masks")
    (root / "mine.py").write_text(MINE)
    return root


@pytest.fixture
def run(folder: Path, in_process: Callable[..., int]) -> Callable[..., int]:
    def run(command: str, kind: str, *flags: str, backbone: str = "cifar_resnet8") -> int:
        given = [*command.split(), "--data", kind, *NETWORK[kind]]
        given += ["--backbone", backbone] if backbone else []
        given += [
            flag
            for pair in zip(OTHERS[::2], OTHERS[1::2], strict=True)
            if pair[0] not in flags
            for flag in pair
        ]
        return in_process(*given, *flags, folder=folder)

    return run


def test_a_segmentation_is_trained_joined_and_tested(run: Callable[..., int], folder: Path) -> None:
    parts = ("--attention-in", "both", "--norm", "group", "--out", "joined")
    assert run("compare", "masks", "--attention", "none,mine.py:Mine", *parts) == 0
    runs = sorted((folder / "joined" / "runs").glob("*/result.json"))
    before = {path: path.read_bytes() for path in runs}
    assert len(before) == 2
    joined = ("--attention", "none,mine.py:Mine,se", *parts, "--json", "all.json")
    assert run("compare", "masks", *joined) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((folder / "joined" / "runs").glob("*/result.json"))) == 3
    network = foveate.load(runs[0].parent / "weights.safetensors", trust_code=True)
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    summary = json.loads((folder / "all.json").read_text())
    assert json.dumps(summary, allow_nan=False)


@pytest.mark.full
def test_a_detection_has_controls(run: Callable[..., int], folder: Path) -> None:
    assert run("compare", "boxes", "--attention", "none,se", "--control", "parameters", "--out", "wide") == 0
    (control,) = read_study(folder / "wide").study.design.controls
    assert control.of == "se"
    assert len(list((folder / "wide" / "runs").glob("*/result.json"))) == 3
    assert run("plan", "boxes", "--attention", "none,se", "--out", "wide") == 0


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_backbones_start_from_a_file(kind: str, run: Callable[..., int], folder: Path) -> None:
    torch.manual_seed(7)
    backbone = create_backbone("cifar_resnet8", classes=10)
    torch.save(backbone.state_dict(), folder / "own.pth")
    out = f"from-file-{kind}"
    flags = ("--attention", "none", "--weights", "own.pth", "--lr", "1e-9", "--out", out)
    assert run("compare", kind, *flags) == 0
    (weights,) = (folder / out / "runs").glob("*/weights.safetensors")
    network = foveate.load(weights)
    known = {key.replace(".", "_"): value for key, value in backbone.state_dict().items()}
    path = "backbone.body" if kind == "boxes" else "encoder.model"
    own = network.get_submodule(path).state_dict()
    assert all(torch.allclose(value, known[key.replace(".", "_")], atol=1e-6) for key, value in own.items())


@pytest.mark.full
@pytest.mark.parametrize(
    ("command", "kind", "flags"),
    [
        ("ablate dmsca", "masks", {}),
        ("sweep se reduction=4,8", "boxes", {}),
        ("sweep se reduction=4,8", "masks", {"--search": "optuna", "--trials": "2"}),
        ("compare", "masks", {"--attention": "none,se", "--seeds": "2", "--tune": "2"}),
        ("compare", "boxes", {"--attention": "none,se", "--seeds": "2", "--tune": "2"}),
        ("compare", "boxes", {"--attention": "none,se", "--attention-in": "neck"}),
        (
            "compare",
            "boxes",
            {"--attention": "none,mine.py:Mine", "--attention-in": "both"},
        ),
        ("compare", "boxes", {"--attention": "none,se", "--control": "macs"}),
        ("compare", "masks", {"--attention": "none,se", "--control": "latency"}),
    ],
)
def test_each_command_works(
    command: str, kind: str, flags: dict[str, Any], run: Callable[..., int], tmp_path: Path
) -> None:
    given = [one for pair in flags.items() for one in pair]
    assert run(command, kind, *given, "--out", str(tmp_path / "study")) == 0


@pytest.mark.full
@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_own_attention_is_replaced(kind: str, run: Callable[..., int], tmp_path: Path) -> None:
    flags = ("--attention", "none,eca", "--replace-own", "--out", str(tmp_path / "study"))
    assert run("compare", kind, *flags, backbone="mobilenetv3_small_050") == 0


@pytest.mark.full
def test_seeds_are_added_and_whole_networks_compared(run: Callable[..., int], tmp_path: Path) -> None:
    flags = ("--attention", "none,se", "--until-decided", "--seeds", "2", "--max-seeds", "3")
    assert run("compare", "masks", *flags, "--out", str(tmp_path / "decided")) == 0
    networks = ("--backbones", "cifar_resnet8,mobilenetv3_small_050", "--out", str(tmp_path / "networks"))
    assert run("compare", "masks", *networks, backbone="") == 0
    assert run("compare", "boxes", *networks[:2], "--out", str(tmp_path / "detectors"), backbone="") == 0
