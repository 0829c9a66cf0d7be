"""A small file that describes a huge network is refused before there is memory for it."""

import resource
import time

import pytest
import timm
import torch
from saved import about, write
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.inspection.find_trained import find_trained
from foveate.models.checkpoint.size_limits import TooLargeError, built_within
from foveate.models.checkpoint.weight_files import read_safetensors

MEBIBYTE = 1024  # of ru_maxrss, which Linux counts in KiB


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.safetensors"
    foveate.save(timm.create_model("cifar_resnet8_se", num_classes=3), path)
    return path


def described(small, path, **changes):
    """The tensors of `small` under its description with `changes` to the backbone's arguments."""
    known = about(small)
    backbone = {**known["backbone"], "args": known["backbone"]["args"] | changes}
    write(path, {**known, "backbone": backbone, "classes": None}, read_safetensors(small)[0])
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"in_chans": 10**7}, "in_chans: given 10000000, expected numbers up to 100,000"),
        ({"num_classes": 10**10}, "num_classes: given 10000000000, expected numbers up to"),
        ({"channels": [10**6, 64, 64]}, r"channels: given \[1000000, 64, 64\], expected numbers up to"),
        ({"in_chans": 99_999}, r"conv1.weight \(16, 3, 3, 3\) for \(16, 99999, 3, 3\)"),
        ({"channels": [90_000, 90_000, 90_000]}, "more than .* numbers, and holds"),
        ({"layers": [3000, 3000, 3000]}, "more than .* modules, and holds"),
        ({"layers": [100_000, 1, 1]}, "more than .* modules, and holds"),
        ({"num_classes": 50_000}, r"fc.weight \(3, 64\) for \(50000, 64\)"),
    ],
)
def test_a_description_beyond_the_tensors_is_refused_first(small, tmp_path, changes, said):
    path = described(small, tmp_path / "huge.safetensors", **changes)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(RequestError, match=said):
        foveate.load(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * MEBIBYTE
    assert time.monotonic() - start < 30


def test_attention_at_more_places_than_there_are_is_refused(small, tmp_path):
    known = about(small)
    (group,) = known["attention"]
    for groups, said in (
        ([group] * 20_000, "attention more than once at"),
        ([group | {"at": {f"layer1.{n}": 16 for n in range(20_000)}}], "no module 'layer1.1' to put se at"),
        ([group | {"at": {}}] * 20_000, "se.*they have and it does not know"),
    ):
        write(tmp_path / "groups.safetensors", {**known, "attention": groups}, read_safetensors(small)[0])
        with pytest.raises(RequestError, match=said):
            foveate.load(tmp_path / "groups.safetensors")
    wide = [group | {"at": dict.fromkeys(group["at"], 60_000)}]
    write(tmp_path / "wide.safetensors", {**known, "attention": wide}, read_safetensors(small)[0])
    with pytest.raises(RequestError, match="more than .* numbers, and holds"):
        foveate.load(tmp_path / "wide.safetensors")
    with pytest.raises(RequestError, match="more than .* numbers, and holds"):
        foveate.load(tmp_path / "wide.safetensors", timm.create_model("cifar_resnet8", num_classes=3))


def test_whoever_only_reads_the_description_is_safe_as_well(small, tmp_path):
    path = described(small, tmp_path / "huge.safetensors", num_classes=10**12)
    with pytest.raises(RequestError, match="num_classes: given 1000000000000, expected numbers up to"):
        find_trained([str(path)])
    known = about(small) | {"preprocessing": {"input_size": [3, 10**6, 10**6]}}
    write(path, known, read_safetensors(small)[0])
    with pytest.raises(RequestError, match="input_size: given .*none above 8,192"):
        find_trained([str(path)])


def test_weights_alone_are_compared_before_a_network_of_them_is_built(tmp_path):
    path = tmp_path / "head.safetensors"
    write(path, None, {"fc.weight": torch.empty(10**9, 0)})
    with pytest.raises(RequestError, match="more than .* numbers, and holds"):
        find_trained([f"cifar_resnet8={path}"])


def test_only_this_thread_and_only_here_is_counted():
    with (
        pytest.raises(TooLargeError, match="more than 50,000,000 numbers, and holds 0 tensors"),
        built_within({}),
    ):
        nn.Linear(10_000, 10_000, device="meta")
    nn.Linear(10_000, 10_000, device="meta")
    with built_within({"weight": torch.empty(10_000, 10_000, device="meta")}):
        nn.Linear(10_000, 10_000, device="meta")
