"""What `foveate list` says of each mechanism is counted, and agrees with figures worked out by hand."""

import json

import pytest
import timm

import foveate
from foveate.attention import MECHANISMS
from foveate.profiling.catalogue import catalogue

# ResNet-50: the widths of its blocks' ends, and how many blocks there are of each.
BLOCKS = {256: 3, 512: 4, 1024: 6, 2048: 3}


@pytest.fixture(scope="module")
def described() -> dict:
    return catalogue().to_json()


@pytest.fixture(scope="module")
def rows(described) -> dict[str, dict]:
    return {row["name"]: row for row in described["mechanisms"]}


def test_every_mechanism_is_there_in_order_with_its_paper_and_place(described, rows):
    assert [row["name"] for row in described["mechanisms"]] == foveate.list_attention()
    assert list(rows) == sorted(rows)
    for name, row in rows.items():
        assert row["paper"] == MECHANISMS[name].paper
        assert row["where"] == MECHANISMS[name].where
    assert (rows["se"]["where"], rows["se"]["stages"]) == ("block", None)
    assert (rows["sgfa"]["where"], rows["sgfa"]["stages"]) == ("stage", [1, 2, 3])


def test_options_are_those_that_create_attention_takes(rows):
    assert rows["cbam"]["options"] == {"reduction": 16, "kernel_size": 7}
    assert rows["dmsca"]["options"]["kernel_sizes"] == [3, 5, 7]
    for name, row in rows.items():
        foveate.create_attention(name, 64, **row["options"])


def test_backbone_is_the_resnet50_of_the_papers(described):
    assert described["parameters"] == 25_557_032
    assert described["macs"] == pytest.approx(4.09e9, rel=0.002)
    assert (described["backbone"], described["image_size"]) == ("resnet50", 224)


def test_squeeze_and_excitation_by_hand(rows):
    """C -> C/16 -> C with biases; one position, so that each weight multiplies once and no bias does."""
    weights = sum(n * 2 * C * (C // 16) for C, n in BLOCKS.items())
    biases = sum(n * (C + C // 16) for C, n in BLOCKS.items())
    assert rows["se"]["parameters_added"] == weights + biases
    assert rows["se"]["macs_added"] == weights
    assert rows["se"]["parameters_increase_percent"] == pytest.approx(
        100 * (weights + biases) / 25_557_032, rel=1e-9
    )


def test_efficient_channel_attention_by_hand(rows):
    """Kernels of 5, 5, 5 and 7 (eq. 12), each slid over its channels."""
    kernels = {256: 5, 512: 5, 1024: 5, 2048: 7}
    assert rows["eca"]["parameters_added"] == sum(n * kernels[C] for C, n in BLOCKS.items())
    assert rows["eca"]["macs_added"] == sum(n * kernels[C] * C for C, n in BLOCKS.items())


def test_channel_mask_at_three_stages_by_hand(rows):
    """No biases; the ends of stages 1 to 3 alone."""
    weights = sum(2 * C * (C // 16) for C in (256, 512, 1024))
    assert rows["sgfa_ca"]["parameters_added"] == rows["sgfa_ca"]["macs_added"] == weights


def test_articles_figures(rows):
    """SE: 28.09 M parameters on ResNet-50 (table 2 of CBAM's paper); DMSCA: +11.34 % (counted: +11.2 %)."""
    assert 25_557_032 + rows["se"]["parameters_added"] == pytest.approx(28.09e6, rel=2e-4)
    assert rows["dmsca"]["parameters_increase_percent"] == pytest.approx(11.34, abs=0.25)


def test_a_mechanism_costs_what_its_registered_network_costs_more(rows):
    network = timm.create_model("resnet50_triplet")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters - 25_557_032 == rows["triplet"]["parameters_added"]


def test_it_is_json(described):
    assert json.loads(json.dumps(described, allow_nan=False))["mechanisms"][0]["name"] == "a2"
