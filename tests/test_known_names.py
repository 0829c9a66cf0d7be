"""The tables of names are those of the code; FOVEATE_WRITE_DOCS=1 writes them anew."""

import inspect
import json
import os
import sys
from pathlib import Path

import pytest
import timm
import timm.optim
import torchvision

from foveate import known_names
from foveate.attention import MECHANISMS, list_attention
from foveate.errors import RequestError
from foveate.known_names import (
    MECHANISMS_TABLE,
    NAMES_TABLE,
    installed_names,
    installed_versions,
    mechanism_names,
    mechanism_options,
    names_in_table,
)
from foveate.models.backbones.names import check_backbone, registered_names
from foveate.profiling.catalogue import catalogue
from foveate.records.catalogue import read_catalogue
from foveate.training.recipe import optimizer_names

WRITE = "FOVEATE_WRITE_DOCS=1 python -m pytest tests/test_known_names.py writes it"


def in_code() -> dict[str, object]:
    """What timm and torchvision know, as the table has it."""
    networks: dict[str, str] = {}
    for name in set(timm.list_models()) - registered_names().keys():
        tagged = timm.models.get_arch_pretrained_cfgs(name)
        networks[name] = " ".join(one.partition(".")[2] for one in tagged if "." in one)
    return {
        "versions": installed_versions(),
        "timm": dict(sorted(networks.items())),
        "torchvision": torchvision.models.list_models(module=torchvision.models),
        "optimizers": [str(name) for name in timm.optim.list_optimizers()],
    }


def check(table: Path, content: object) -> None:
    """Compare a table with the code, or write it."""
    if os.environ.get("FOVEATE_WRITE_DOCS"):
        table.parent.mkdir(exist_ok=True)
        table.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        known_names.names_in_table.cache_clear()
        known_names._options.cache_clear()
    assert json.loads(table.read_text(encoding="utf-8")) == json.loads(json.dumps(content)), WRITE


def test_the_table_of_mechanisms_is_that_of_the_code() -> None:
    check(MECHANISMS_TABLE, catalogue().to_json())


def test_the_table_of_names_is_that_of_timm_and_torchvision() -> None:
    check(NAMES_TABLE, in_code())


def test_mechanisms_and_their_options_are_read_from_the_table() -> None:
    assert list(mechanism_names()) == list_attention()
    for name, mechanism in MECHANISMS.items():
        parameters = list(inspect.signature(mechanism.module).parameters.values())[1:]
        defaults = [one.default for one in parameters]
        assert list(mechanism_options(name)) == [one.name for one in parameters]
        assert list(mechanism_options(name).values()) == defaults


def test_foveate_list_shows_what_the_table_holds() -> None:
    assert read_catalogue() == catalogue()


def test_the_table_stands_for_timm_only_where_it_is_of_its_version_and_timm_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert installed_names() is None  # timm is imported: it is asked itself
    assert optimizer_names() == names_in_table().optimizers
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "timm")
        assert installed_names() == names_in_table()
        patch.setattr(known_names, "installed_versions", lambda: {"timm": "0.1", "torchvision": "0.1"})
        assert installed_names() is None


@pytest.mark.parametrize(
    "name", ["resnet50", "resnet50.a1_in1k", "resnet18_se.tv_in1k", "cifar_resnet20", "torchvision/resnet18"]
)
def test_a_backbone_is_known_with_the_table_and_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_backbone(name)
    monkeypatch.setattr("foveate.models.backbones.names.installed_names", names_in_table)
    check_backbone(name)


@pytest.mark.parametrize(
    "name",
    ["resnet5", "resnet50.a9", "resnet50.", "resnet18_se.a9", "torchvision/resnet18.a", "vgg11_se", ""],
)
def test_the_table_refuses_a_backbone_in_the_words_of_the_code(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError) as asked:
        check_backbone(name)
    monkeypatch.setattr("foveate.models.backbones.names.installed_names", names_in_table)
    with pytest.raises(RequestError) as looked_up:
        check_backbone(name)
    assert str(looked_up.value) == str(asked.value)
