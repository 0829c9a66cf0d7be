"""`foveate sites`: what it prints and writes, and what it refuses."""

import json

import pytest

from foveate.records.sites import SiteList


def test_sites_have_channels_and_the_map_size_of_the_images(in_process, tmp_path, capsys):
    where = tmp_path / "sites.json"
    asked = "sites", "cifar_resnet8", "--image-size", "48", "--json", str(where)
    assert in_process(*asked, folder=tmp_path) == 0
    printed = capsys.readouterr().out
    listed = SiteList.model_validate_json(where.read_text(encoding="utf-8"))
    assert [(site.name, site.place, site.stage, site.channels, site.height) for site in listed.sites] == [
        ("layer1.0", "block", 1, 16, 48),
        ("layer1", "stage", 1, 16, 48),
        ("layer2.0", "block", 2, 32, 24),
        ("layer2", "stage", 2, 32, 24),
        ("layer3.0", "block", 3, 64, 12),
        ("layer3", "stage", 3, 64, 12),
    ]
    assert json.loads(where.read_text(encoding="utf-8")) == listed.to_json()
    assert "after layer2.0.bn2" in printed
    assert "24×24" in printed


def test_a_network_whose_blocks_are_not_known_lists_the_modules_that_give_maps(in_process, tmp_path, capsys):
    assert in_process("sites", "torchvision/squeezenet1_1", folder=tmp_path) == 0
    printed = capsys.readouterr().out
    assert "The blocks of torchvision/squeezenet1_1 are not known" in printed
    assert "after features.3.expand1x1" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet5"], "unknown backbone 'resnet5'"),
        (["cifar_resnet8", "--image-size", "0"], "--image-size 0"),
    ],
)
def test_refusals(arguments, message, in_process, tmp_path, capsys):
    assert in_process("sites", *arguments, folder=tmp_path) == 2
    assert message in capsys.readouterr().err
