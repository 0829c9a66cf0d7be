"""Wrong names and wrong values say what was given, what would do, and what is near."""

import pytest
import torch

from foveate import create_attention, list_attention
from foveate.attention import MECHANISMS
from foveate.attention.eca import adaptive_kernel_size
from foveate.attention.norm import AnySizeBatchNorm2d
from foveate.errors import RequestError


def test_names_are_sorted():
    assert list_attention() == [
        "a2", "bam", "ca", "cbam", "dmsca", "eca", "gam", "nam",
        "scpa", "se", "sgfa", "sgfa_ca", "sgu", "simam", "triplet",
    ]  # fmt: skip
    assert list(MECHANISMS) == list_attention()


def test_unknown_mechanism_names_the_nearest_and_the_choices():
    with pytest.raises(
        ValueError,
        match=r"unknown attention mechanism 'dmcsa'. Did you mean 'dmsca'.*Choices: a2, bam, ca, cbam",
    ):
        create_attention("dmcsa", 64)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("se", {"reduction": 0}, "reduction must be a whole number of at least 1, got 0"),
        ("se", {"reduction": "16"}, "reduction must be a whole number of at least 1, got '16'"),
        ("se", {"reduction": True}, "reduction must be a whole number of at least 1, got True"),
        ("bam", {"reduction": 4.0}, "reduction must be a whole number of at least 1, got 4.0"),
        ("a2", {"reduction": 128}, "reduction=128 leaves none of 64 channels: pass reduction <= 64"),
        ("dmsca", {"reduction": 65}, "reduction=65 leaves none of 64 channels: pass reduction <= 64"),
        (
            "dmsca",
            {"kernel_sizes": (3, 4)},
            "kernel_sizes must be odd to keep the map's size, got 4: pass 3 or 5",
        ),
        ("dmsca", {"kernel_sizes": (100001,)}, "kernel_sizes must be at most 255, got 100001"),
        ("bam", {"dilation": 10**9}, "dilation must be at most 255, got 1000000000"),
        ("dmsca", {"mid_channels": 10**9}, "mid_channels must be at most 65536, got 1000000000"),
        ("dmsca", {"kernel_sizes": ()}, "kernel_sizes must name at least one kernel"),
        (
            "dmsca",
            {"kernel_sizes": 3},
            r"kernel_sizes must be a sequence of odd whole numbers, such as \(3, 5, 7\), got 3",
        ),
        ("dmsca", {"kernel_sizes": "357"}, "kernel_sizes must be a sequence of odd whole numbers.*got '357'"),
        ("dmsca", {"kernel_sizes": (3, "5")}, "kernel_sizes must be a whole number of at least 1, got '5'"),
        ("dmsca", {"kernel_sizes": None}, "kernel_sizes must be a sequence of odd whole numbers.*got None"),
        ("dmsca", {"mid_channels": 0}, "mid_channels must be a whole number of at least 1, got 0"),
        (
            "dmsca",
            {"temperature": 0.0},
            "temperature must be a finite number above 0, or None to learn it, got 0.0",
        ),
        ("dmsca", {"temperature": float("nan")}, "temperature must be a finite number above 0"),
        ("dmsca", {"temperature": float("inf")}, "temperature must be a finite number above 0"),
        ("dmsca", {"temperature": "hot"}, "temperature must be a finite number above 0.*got 'hot'"),
        ("dmsca", {"temperature": True}, "temperature must be a finite number above 0.*got True"),
        ("simam", {"e_lambda": 0}, "e_lambda must be a finite number above 0, got 0"),
        ("simam", {"e_lambda": "1e-4"}, "e_lambda must be a finite number above 0, got '1e-4'"),
        ("bam", {"dilation": 0}, "dilation must be a whole number of at least 1, got 0"),
        ("gam", {"kernel_size": 4}, "kernel_size must be odd to keep the map's size, got 4: pass 3 or 5"),
        ("triplet", {"kernel_size": "7"}, "kernel_size must be a whole number of at least 1, got '7'"),
        ("cbam", {"kernel_size": 6}, "kernel_size must be odd to keep the map's size, got 6: pass 5 or 7"),
        ("eca", {"kernel_size": 2}, "kernel_size must be odd"),
        ("ca", {"min_channels": 0}, "min_channels must be a whole number of at least 1, got 0"),
        ("sgu", {"expansion": 0}, "expansion must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_value_raises_with_the_way_out(name, options, message):
    with pytest.raises(RequestError, match=message):
        create_attention(name, 64, **options)


def test_temperature_is_learned_from_one_or_held():
    learned, held = create_attention("dmsca", 16), create_attention("dmsca", 16, temperature=0.5)
    assert learned.tca.log_tau.exp() == 1.0
    assert "tca.log_tau" not in held.state_dict()
    held.load_state_dict(learned.state_dict(), strict=False)
    x = torch.randn(2, 16, 4, 4)
    with torch.no_grad():
        learned.tca.log_tau.fill_(-0.6931471805599453)  # ln ½
    torch.testing.assert_close(learned(x), held(x))


def test_dmsca_has_the_six_parts_by_name():
    assert [name for name, _ in create_attention("dmsca", 16).named_children()] == [
        "gce", "tca", "msce", "dii", "dff", "aa",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("channels", "k"), [(1, 1), (16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)]
)
def test_eca_kernel_adapts_to_the_channels(channels, k):
    assert adaptive_kernel_size(channels) == k


def test_coordinate_attention_keeps_at_least_eight_channels():
    assert create_attention("ca", 64).embed[0].out_channels == 8
    assert create_attention("ca", 512).embed[0].out_channels == 16


def test_batch_norm_of_one_value_uses_the_running_statistics_and_leaves_them():
    norm, x = AnySizeBatchNorm2d(2), torch.tensor([3.0, -1.0]).view(1, 2, 1, 1)
    norm.running_mean.copy_(torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(norm(x).flatten(), torch.tensor([2.0, -2.0]))
    assert norm.running_mean.tolist() == [1.0, 1.0]
    plain = torch.nn.BatchNorm2d(2)
    plain.load_state_dict(norm.state_dict())
    batch = torch.randn(2, 2, 3, 1)
    assert torch.equal(norm(batch), plain(batch))
    assert torch.equal(norm.running_mean, plain.running_mean)
