"""Copies of built-ins as they circulate: each is the same function, or its differences are named."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import circulating as copies
import pytest
import torch
from torch import Tensor, nn

from foveate import create_attention
from foveate.attention import MECHANISMS
from foveate.errors import RequestError
from foveate.inspection.check.like.builtins import COMPARABLE
from foveate.inspection.check.like.engine import EQUATIONS, compare_with
from foveate.records.check import LikeRecord

Case = tuple[str, Callable[[int], nn.Module], Mapping[str, Any], set[tuple[str, str]]]

CBAM = copies.MyCBAM
CASES: dict[str, Case] = {
    "cbam": ("cbam", CBAM, {}, set()),
    "no shared MLP": ("cbam", partial(CBAM, shared=False), {}, {("mlp", "two")}),
    "mean alone": ("cbam", partial(CBAM, pools="a"), {}, {("channel_pool", "mean")}),
    "maximum alone": ("cbam", partial(CBAM, pools="m"), {}, {("channel_pool", "max")}),
    "no sigmoid": ("cbam", partial(CBAM, sigmoid=False), {}, {("channel_gate", "none")}),
    "swapped": ("cbam", partial(CBAM, spatial={"swapped": True}), {}, {("spatial_stack", "max, mean")}),
    "bias": ("cbam", partial(CBAM, spatial={"bias": True}), {}, {("spatial_bias", "present")}),
    "kernel": ("cbam", partial(CBAM, spatial={"kernel": 3}), {}, {("kernel", "3")}),
    "same kernel": ("cbam", partial(CBAM, spatial={"kernel": 3}), {"kernel_size": 3}, set()),
    "spatial first": ("cbam", partial(CBAM, order="sc"), {}, {("order", "spatial, channel")}),
    "reduction": ("cbam", partial(CBAM, reduction=8), {}, {("reduction", "8")}),
    "authors' cbam": (
        "cbam",
        partial(CBAM, spatial={"swapped": True, "norm": True}),
        {},
        {("spatial_stack", "max, mean"), ("spatial_norm", "present")},
    ),
    "se": ("se", partial(copies.MySE, bias=True), {}, set()),
    "se without biases": ("se", copies.MySE, {}, {("biases", "none")}),
    "se, two differences": (
        "se",
        partial(copies.MySE, sigmoid=False),
        {},
        {("biases", "none"), ("gate", "none")},
    ),
    "eca": ("eca", copies.MyECA, {}, set()),
    "eca kernel": ("eca", partial(copies.MyECA, k_size=5), {}, {("kernel", "5")}),
    "simam": ("simam", copies.MySimAM, {}, {("variance", "M - 1")}),
    "simam, other λ": (
        "simam",
        partial(copies.MySimAM, e_lambda=0.1),
        {},
        {("variance", "M - 1"), ("e_lambda", "0.1")},
    ),
    "bam": ("bam", copies.MyBAM, {}, {("norms", "between the layers"), ("biases", "all")}),
    "authors' bam": (
        "bam",
        partial(copies.MyBAM, multiplied=True, dilation=2),
        {"dilation": 2},
        {("norms", "between the layers"), ("biases", "all"), ("branches", "multiplied")},
    ),
    "deeper bam": (
        "bam",
        partial(copies.MyBAM, dilation=2, depth=(3, 3)),
        {},
        {
            ("norms", "between the layers"),
            ("biases", "all"),
            ("dilation", "2"),
            ("hidden_layers", "3"),
            ("dilated_layers", "3"),
        },
    ),
    "ca": ("ca", partial(copies.MyCA, bias=False), {}, set()),
    "authors' ca": ("ca", copies.MyCA, {}, {("embed_bias", "present")}),
    "ca with ReLU": ("ca", partial(copies.MyCA, bias=False, act=nn.ReLU), {}, {("activation", "relu")}),
    "a2": ("a2", partial(copies.MyA2, right=True), {}, {("theta_bias", "present")}),
    "a2 over the batch": (
        "a2",
        copies.MyA2,
        {},
        {("theta_bias", "present"), ("gather", "batch"), ("distribute", "batch"), ("residual", "none")},
    ),
}


def found(record: LikeRecord) -> set[tuple[str, str]]:
    return {(row.part, row.value) for row in record.differences}


@pytest.mark.parametrize("case", CASES)
def test_a_copy_is_the_same_or_its_differences_are_named(case: str) -> None:
    builtin, factory, options, expected = CASES[case]
    record = compare_with(factory, case, builtin, options, 64)
    assert found(record) == expected
    assert record.verdict == ("known" if expected else "same")
    assert record.remaining_difference is not None
    assert record.remaining_difference < 1e-9
    assert len(record.weights) == len(set(record.weights.values()))


@pytest.mark.parametrize("name", COMPARABLE)
def test_a_builtin_is_itself(name: str) -> None:
    """So each equation here is the built-in's: with its own weights the two agree."""
    record = compare_with(partial(create_attention, name), name, name, {}, 64)
    assert record.verdict == "same"
    assert record.largest_difference is not None
    assert record.largest_difference < 1e-9
    assert record.smallest_input is None


def test_every_choice_has_a_sentence_and_no_sentence_is_left_over() -> None:
    for name, equation in EQUATIONS.items():
        choices = {
            (field.name, value)
            for field in dataclasses.fields(equation)
            for value in field.metadata["values"][1:]
        }
        for part, value in choices:
            text = equation.text(part, value, equation)
            assert str(value) in text or (part, value) in equation.TEXTS, (name, part, value)
        assert equation.TEXTS.keys() <= choices, name


def test_the_smallest_input_and_the_size_of_the_difference_are_named() -> None:
    record = compare_with(partial(CBAM, spatial={"swapped": True}), "mine", "cbam", {}, 64)
    assert record.smallest_input == "(1, 64, 1, 1) float64 in eval"
    assert record.largest_difference is not None
    assert record.largest_difference > 0.01
    assert (
        compare_with(copies.MySimAM, "mine", "simam", {}, 64).smallest_input
        == "(1, 64, 1, 1) float64 in eval"
    )


def test_an_unknown_difference_is_said_to_be_unknown() -> None:
    record = compare_with(copies.Cubic, "mine", "se", {}, 64)
    assert record.verdict == "unknown"
    assert record.differences == ()
    assert record.largest_difference is not None
    assert record.largest_difference > 0.01
    assert record.smallest_input is not None


def test_tensors_that_fit_no_variant_are_listed() -> None:
    record = compare_with(lambda channels: nn.Conv2d(channels, channels, 3, padding=1), "mine", "se", {}, 64)
    assert record.verdict == "unknown"
    assert "weight (64, 64, 3, 3)" in record.notes[0]


def test_a_builtin_without_known_variants_is_refused() -> None:
    assert set(COMPARABLE) <= MECHANISMS.keys()
    with pytest.raises(RequestError, match="Choices: a2, bam"):
        compare_with(copies.MySE, "mine", "gam", {}, 64)


def test_no_random_numbers_of_the_caller_are_used() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    compare_with(copies.MyECA, "mine", "eca", {}, 64)
    assert torch.equal(torch.rand(1), expected)


class AlmostSE(nn.Module):
    """SE, but for one thing that shows on large maps, values or batches, or in gradients alone."""

    def __init__(self, channels: int, twist: str) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Linear(channels, channels // 16), nn.Linear(channels // 16, channels)
        self.twist = twist

    def forward(self, x: Tensor) -> Tensor:
        seen = x[:, :, :9, :9] if self.twist == "window" else x
        mean = seen.mean((2, 3))
        if self.twist == "batch" and len(x) > 4:
            mean = mean.mean(0, keepdim=True)
        mean = mean.detach() if self.twist == "detached" else mean
        hidden = torch.relu(self.reduce(mean))
        logit = self.expand(hidden.clamp(max=6.0) if self.twist == "relu6" else hidden)
        return x * torch.sigmoid(logit)[..., None, None]


@pytest.mark.parametrize("twist", ["none", "window", "batch", "relu6", "detached"])
def test_what_differs_seldom_is_not_the_same(twist: str) -> None:
    record = compare_with(partial(AlmostSE, twist=twist), "mine", "se", {}, 64)
    assert (record.verdict == "same") is (twist == "none"), record
    if twist == "detached":
        assert record.notes == (
            "Their outputs are equal, and their gradients by the map are not: some part is detached.",
        )
