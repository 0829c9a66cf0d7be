"""Plain backbones as dear as the mechanisms; latencies are stood in for by a count, nothing is timed."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from foveate.data import Data, load_data
from foveate.errors import RequestError
from foveate.evaluation.noise import Times
from foveate.models import attach
from foveate.models.backbones.create import create_backbone
from foveate.models.dense import backbone_path
from foveate.records.design import Contrast, Control
from foveate.studies.engine import matching
from foveate.studies.engine.controls import match_controls, with_controls
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.folder import FORMAT
from foveate.studies.engine.images import describe_data
from foveate.studies.engine.network import build_network
from foveate.studies.engine.network_checks import check_networks
from foveate.studies.spec.candidate import parse_candidates, read_candidate
from foveate.studies.spec.dense import read_dense
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec

CPU = torch.device("cpu")
IMAGES: dict[str, Any] = {"classes": 10, "channels": 3, "image_size": 32, "device": CPU}


def parameters(backbone: str, width: float = 1.0, extra_blocks: int = 0, attention: str = "") -> int:
    with torch.device("meta"):
        network = create_backbone(backbone, classes=10, width=width, extra_blocks=extra_blocks)
        if attention:
            attach(network, attention)
    return sum(math.prod(parameter.shape) for parameter in network.parameters())


def multiply_adds(network: nn.Module) -> int:
    """Of convolutions and linear layers, from the shapes of what they give."""
    total = 0

    def count(module: Any, args: Any, given: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += given[0].numel() * module.weight[0].numel()
        if isinstance(module, nn.Linear):
            total += given[0].numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return total


def width_of(control: Control) -> float:
    (candidate,) = parse_candidates(control.label)
    return candidate.width


def test_parameters_are_matched_as_nearly_as_there_are_channels() -> None:
    candidates = parse_candidates("none,dmsca,gam,simam")
    controls = match_controls("cifar_resnet20", candidates, "parameters", **IMAGES)
    assert [control.of for control in controls] == ["dmsca", "gam"]
    every = [parameters("cifar_resnet20", width=1 + step / 200) for step in range(40)]
    for control in controls:
        asked = parameters("cifar_resnet20", attention=control.of)
        assert (control.measure, control.asked) == ("parameters", asked)
        assert control.reached == parameters("cifar_resnet20", width=width_of(control))
        nearest = min(every, key=lambda count: abs(count - asked))
        assert abs(control.reached - asked) <= abs(nearest - asked)


@pytest.mark.parametrize("backbone", ["resnet18", "convnext_atto"])
def test_large_backbones_are_matched_to_less_than_a_percent(backbone: str) -> None:
    controls = match_controls(backbone, parse_candidates("se,dmsca"), "parameters", **IMAGES)
    assert [control.of for control in controls] == ["se", "dmsca"]
    for control in controls:
        assert control.reached == pytest.approx(parameters(backbone, attention=control.of), rel=0.01)
        width = width_of(control)
        assert 1 < width < 1.1
        assert width == round(width, 4)


def test_multiply_adds_are_matched() -> None:
    (control,) = match_controls("cifar_resnet18", parse_candidates("gam"), "macs", **IMAGES)
    wider = create_backbone("cifar_resnet18", classes=10, width=width_of(control))
    with_attention = attach(create_backbone("cifar_resnet18", classes=10), "gam")
    assert control.asked == multiply_adds(with_attention)
    assert control.reached == multiply_adds(wider)
    assert control.reached == pytest.approx(control.asked, rel=0.01)


def test_blocks_are_added_where_depth_is_asked_for() -> None:
    (control,) = match_controls(
        "cifar_resnet20", parse_candidates("gam"), "parameters", grow="depth", **IMAGES
    )
    assert control.label == "none(extra_blocks=3)"
    by_blocks = [parameters("cifar_resnet20", extra_blocks=blocks) for blocks in range(6)]
    asked = parameters("cifar_resnet20", attention="gam")
    assert control.reached == by_blocks[3] == min(by_blocks, key=lambda count: abs(count - asked))


def test_what_costs_no_more_has_no_control_and_what_costs_the_same_has_one_label() -> None:
    candidates = parse_candidates("none,simam,eca,se,cbam,none(width=1.5)")
    controls = match_controls("cifar_resnet18", candidates, "parameters", **IMAGES)
    # ECA's 36 numbers are nearer to none than to a channel more.
    assert [control.of for control in controls] == ["se", "cbam"]
    assert len({control.label for control in controls}) == 1


def test_a_label_is_the_shortest_width_of_its_network() -> None:
    (control,) = match_controls("cifar_resnet20", parse_candidates("dmsca"), "parameters", **IMAGES)
    assert control.label == "none(width=1.04)"
    same = parameters("cifar_resnet20", width=1.04)
    assert same == control.reached
    assert same not in [parameters("cifar_resnet20", width=width) for width in (1.0, 1.1)]


@pytest.mark.parametrize(
    ("backbone", "grow", "message"),
    [
        ("mobilenetv3_small_100", "depth", "mobilenetv3_small_100 cannot be made deeper"),
        ("torchvision/shufflenet_v2_x0_5", "width", "cannot be made wider"),
    ],
)
def test_backbones_without_such_a_knob_are_refused(backbone: str, grow: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        match_controls(backbone, parse_candidates("se"), "parameters", grow=grow, **IMAGES)


class Clock:
    """Latency as a power of the parameters, a multiple for the one with attention, told with an error."""

    def __init__(self, price: float, error: float = 0.0) -> None:
        self.price, self.error, self.asked = price, error, 0

    def __call__(self, networks: dict[str, nn.Module], *args: Any, **kwargs: Any) -> dict[str, Times]:
        self.asked += 1
        plain = parameters("cifar_resnet20") ** 0.7
        control = sum(parameter.numel() for parameter in networks["control"].parameters()) ** 0.7
        wrong = 1 + self.error * (-1) ** self.asked
        ratios = {"candidate": 1.0, "control": wrong * control / (plain * self.price)}
        return {name: Times(ratio, ratio, ratio) for name, ratio in ratios.items()}


@pytest.mark.parametrize(
    ("price", "grow"), [(1.05, "width"), (1.3, "width"), (4.0, "width"), (1.3, "depth"), (4.0, "depth")]
)
def test_latencies_are_matched_within_few_measurements(
    price: float, grow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(price)
    monkeypatch.setattr(matching, "measure_latencies", clock)
    (control,) = match_controls("cifar_resnet20", parse_candidates("se"), "latency", grow=grow, **IMAGES)
    assert clock.asked <= 8
    assert (control.of, control.measure) == ("se", "latency")
    assert control.asked == pytest.approx(price)
    # A block more of ResNet-20 has up to a quarter of its parameters: half of that is the nearest there is.
    assert control.reached == pytest.approx(price, rel=0.02 if grow == "width" else 0.06)


def test_a_noisy_clock_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(1.4, error=0.1)
    monkeypatch.setattr(matching, "measure_latencies", clock)
    (control,) = match_controls("cifar_resnet20", parse_candidates("se"), "latency", **IMAGES)
    assert clock.asked <= 8
    assert control.reached == pytest.approx(control.asked, rel=0.15)


@pytest.mark.parametrize("price", [0.9, 1.0, 1.015])
def test_what_is_as_fast_as_the_plain_backbone_has_no_control(
    price: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(price)
    monkeypatch.setattr(matching, "measure_latencies", clock)
    assert match_controls("cifar_resnet20", parse_candidates("none,simam"), "latency", **IMAGES) == []
    assert clock.asked == 1


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", default_size=32)


def study(**settings: Any) -> StudySpec:
    return make_study({"data": "digits", "backbone": "cifar_resnet18", "seeds": 2} | settings, {})


def test_a_study_gets_its_controls_as_candidates(digits: Data, tmp_path: Path) -> None:
    asked = study(attention="none,se,cbam,simam", control="parameters")
    found = with_controls(asked, digits, tmp_path, Machine("cpu"))
    assert [one.label for one in found.attention] == ["none", "se", "cbam", "simam", "none(width=1.004)"]
    assert found.attention[-1].width == 1.004
    assert [(one.label, one.of) for one in found.design.controls] == [
        ("none(width=1.004)", "se"),
        ("none(width=1.004)", "cbam"),
    ]
    assert found.design.contrasts == ()  # all pairs are compared, these too
    assert found.runs("f")[0] == asked.runs("f")[0]
    without = study(attention="none,se")
    assert with_controls(without, digits, tmp_path, Machine("cpu")) is without


def test_planned_comparisons_gain_those_with_the_controls(digits: Data, tmp_path: Path) -> None:
    asked = study(attention="none,se", control="parameters")
    planned = Contrast(a="none", b="se", title="se", group="all")
    asked = asked.model_copy(update={"design": asked.design.model_copy(update={"contrasts": (planned,)})})
    contrasts = with_controls(asked, digits, tmp_path, Machine("cpu")).design.contrasts
    assert contrasts[0] == planned
    assert [(one.a, one.b, one.group) for one in contrasts[1:]] == [("none(width=1.004)", "se", "controls")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"backbone": "resnet18", "pretrained": True},
            "leave out --control, or start without pretrained weights",
        ),
        ({"backbone": "regnetx_002"}, "regnetx_002 cannot be made wider"),
        ({"backbone": "mobilenetv3_small_100", "grow": "depth"}, "cannot be made deeper"),
    ],
)
def test_a_control_that_cannot_be_is_refused_before_any_work(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_networks(study(attention="none,se", control="parameters", **settings))


def test_a_resumed_study_measures_nothing_anew(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = partial(study, backbone="cifar_resnet20", control="latency")
    clock = Clock(1.3)
    monkeypatch.setattr(matching, "measure_latencies", clock)
    first = with_controls(small(attention="none,se"), digits, tmp_path, Machine("cpu"))
    record = {
        "format": FORMAT,
        "foveate": "0.1.0",
        "name": first.name,
        "backbone": first.backbone,
        "data": describe_data(first, digits).to_json(),
        "seeds": list(first.seeds),
        "recipe": first.recipe.model_dump(mode="json"),
        "statistics": {"adjust": "holm", "alpha": 0.05, "power": 0.8},
        "command": "foveate compare",
        "environment": {},
        "runs": [
            {"id": run.id, "attention": run.attention.label, "seed": run.seed}
            for run in first.runs(digits.fingerprint)
        ],
        "failed": [],
        "attention": [one.label for one in first.attention],
        "design": first.design.model_dump(mode="json"),
    }
    (tmp_path / "study.json").write_text(json.dumps(record))
    measured, clock.price = clock.asked, 2.0
    again = with_controls(small(attention="none,se"), digits, tmp_path, Machine("cpu"))
    assert again == first
    assert clock.asked == measured
    more = with_controls(small(attention="none,se,eca"), digits, tmp_path, Machine("cpu"))
    assert more.design.controls[0] == first.design.controls[0]
    assert [one.of for one in more.design.controls] == ["se", "eca"]
    assert more.design.controls[1].asked == pytest.approx(2.0, rel=0.01)
    monkeypatch.setitem(record, "backbone", "cifar_resnet34")
    (tmp_path / "study.json").write_text(json.dumps(record))
    other = with_controls(small(attention="none,se"), digits, tmp_path, Machine("cpu"))
    assert other.design.controls[0].asked == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("network", [{"detector": "fasterrcnn(size=small)"}, {"segmenter": "unet"}])
@pytest.mark.parametrize("by", ["parameters", "macs"])
def test_controls_of_a_detector_or_segmenter_have_a_wider_backbone(network: dict[str, str], by: Any) -> None:
    dense = read_dense(network, pretrained=False)
    asked_of = parse_candidates("none,dmsca")
    size: dict[str, Any] = {"classes": 2, "channels": 3, "image_size": 64}
    (control,) = match_controls("cifar_resnet8", asked_of, by, device=CPU, dense=dense, **size)
    wider = read_candidate(control.label)
    assert 1 < wider.width < 1.2
    build = partial(build_network, "cifar_resnet8", dense=dense, **size)
    baseline, own, other = (build(one) for one in (*asked_of, wider))
    path = backbone_path(other)
    assert path is not None

    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(other.get_submodule(path)) > count(baseline.get_submodule(path))
    if by == "parameters":
        assert (control.asked, control.reached) == (count(own), count(other))
        assert abs(count(other) - count(own)) < 0.01 * count(own)
    else:
        assert abs(control.reached - control.asked) < 0.03 * control.asked
