import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
import timm
import torch

from foveate.cli.main import app
from foveate.data import AUGMENTATIONS
from foveate.data.augmentation_names import DENSE_AUGMENTATIONS
from foveate.errors import RequestError
from foveate.models.dense import DETECTORS
from foveate.studies.spec.candidate import parse_candidates
from foveate.studies.spec.defaults import DEFAULT_RECIPE, FINE_TUNING_RECIPE, RECIPE_OF_DATA, RECIPE_OF_TASK
from foveate.studies.spec.dense import read_dense
from foveate.training.recipe import Recipe, make_recipe, named_recipes, parse_setting, read_recipe
from foveate.training.recipe_keys import RECIPE_KEYS
from foveate.training.schedule import make_optimizer

KINDS = dict.fromkeys(("detection", "dmsca_coco", "cpu_bccd"), "boxes") | dict.fromkeys(
    ("segmentation", "dmsca_cityscapes", "cpu_camvid"), "masks"
)
"""The recipes of images with boxes and with masks."""


def fields_of(name: str) -> dict[str, list[str]]:
    """What the head of a named recipe says, by field: `# Field: text`, gone on with by `#   text`."""
    fields: dict[str, list[str]] = {}
    field = ""
    for line in named_recipes()[name].read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if started := re.match(r"# ([A-Z][a-z]+): (.*)", line):
            field, text = started.groups()
            fields.setdefault(field, []).append(text)
        elif line.startswith("#   ") and field:
            fields[field][-1] += f" {line[4:]}"
    return fields


def test_defaults_are_a_recipe_and_survive_json() -> None:
    recipe = make_recipe({})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize("name", sorted(named_recipes()))
def test_named_recipes_are_valid_and_promise_something(name: str) -> None:
    recipe = make_recipe(read_recipe(name))
    known = DENSE_AUGMENTATIONS[KINDS[name]] if name in KINDS else AUGMENTATIONS
    assert set(recipe.augmentation) <= set(known)
    head = fields_of(name)
    assert {"Promise", "Command"} <= head.keys()
    if name.startswith(("dmsca_", "sgfa_", "short_")):
        assert {"Paper", "Data", "Hardware", "Time", "Expected"} <= head.keys()
    assert all(text for texts in head.values() for text in texts)


@pytest.mark.parametrize(
    ("name", "command"), [(name, line) for name in named_recipes() for line in fields_of(name)["Command"]]
)
def test_the_command_of_a_recipe_can_be_given_and_takes_it(name: str, command: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "foveate"
    given = app.parse_args(arguments)[1].arguments  # raises for a flag that it does not know
    keys, recipe = given["flags"].keys, given["flags"].recipe
    assert timm.is_model(keys.backbone)
    if "subject" in given:
        parse_candidates(given["subject"].attention)
    if keys.detector or keys.segmenter:
        named = {"detector": keys.detector, "segmenter": keys.segmenter}
        network = read_dense({key: value for key, value in named.items() if value}, pretrained=False)
        assert network is not None
        task = "detection" if network.name in DETECTORS else "segmentation"
        assert (recipe.recipe or RECIPE_OF_TASK[task]) == name
        return
    of_data = RECIPE_OF_DATA.get(keys.data, DEFAULT_RECIPE)
    usual = FINE_TUNING_RECIPE if keys.pretrained or keys.weights else of_data
    assert (recipe.recipe or usual) == name


def test_the_articles_protocols_are_theirs() -> None:
    cifar, imagenet = (make_recipe(read_recipe(f"dmsca_{name}")) for name in ("cifar", "imagenet"))
    for recipe in (cifar, imagenet):
        assert (recipe.optimizer, recipe.momentum, recipe.learning_rate) == ("momentum", 0.9, 0.1)
        assert (recipe.schedule, recipe.warmup_ratio, recipe.augmentation) == ("cosine", 0, ("crop", "flip"))
    assert (cifar.epochs, cifar.batch_size, cifar.weight_decay) == (200, 64, 5e-4)
    assert (imagenet.epochs, imagenet.batch_size, imagenet.weight_decay) == (100, 128, 1e-4)
    adamw, sgd = (make_recipe(read_recipe(name)) for name in ("sgfa_cifar10", "sgfa_cifar10_sgd"))
    assert sgd == adamw.model_copy(update={"optimizer": "momentum"})
    assert (adamw.optimizer, adamw.learning_rate, adamw.weight_decay) == ("adamw", 5e-4, 5e-2)
    assert (adamw.epochs, adamw.batch_size, adamw.schedule) == (100, 64, "cosine")
    network = torch.nn.Conv2d(1, 1, 1)
    assert make_optimizer(network, cifar).defaults["nesterov"] is False
    assert make_optimizer(network, make_recipe(read_recipe("short_cifar"))).defaults["nesterov"] is True


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown recipe key 'epoch'. Did you mean 'epochs'"),
        ({"learning_rate": float("inf")}, "learning_rate = inf: Input should be a finite number"),
        ({"epochs": 0}, "epochs = 0: Input should be greater than or equal to 1"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast': Input should be a valid number"),
        ({"optimizer": "adamv"}, "unknown optimizer 'adamv'. Did you mean 'adam'"),
        (
            {"schedule": "cosines"},
            "schedule = 'cosines': Input should be 'cosine', 'linear', 'poly', 'step' or 'constant'",
        ),
    ],
)
def test_a_wrong_setting_is_named(settings: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_recipe(settings)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("epochs=3", ("epochs", 3)),
        ("weight-decay=5e-4", ("weight_decay", "5e-4")),
        ("augmentation=crop,flip", ("augmentation", "crop,flip")),
        ("augmentation=", ("augmentation", None)),
        ("patience=null", ("patience", None)),
        ("compile=true", ("compile", True)),
    ],
)
def test_settings_of_the_command_line(text: str, setting: tuple) -> None:
    assert parse_setting(text) == setting
    make_recipe(dict([setting]))


def test_augmentation_as_text_is_a_list() -> None:
    assert make_recipe({"augmentation": "crop, flip"}).augmentation == ("crop", "flip")
    assert make_recipe({"augmentation": None}).augmentation == ()


@pytest.mark.parametrize("text", ["epochs", "epochs=["])
def test_a_setting_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"KEY=VALUE, .*got 'epochs"):
        parse_setting(text)


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RequestError, match="unknown recipe 'digit'. Did you mean 'digits'"):
        read_recipe("digit")


def test_a_recipe_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(RequestError, match="expected a mapping of keys to values, found a list"):
        read_recipe(str(tmp_path / "list.yaml"))
    (tmp_path / "broken.yaml").write_text("epochs: [1\n")
    with pytest.raises(RequestError, match="is not YAML"):
        read_recipe(str(tmp_path / "broken.yaml"))


def test_the_table_of_keys_is_that_of_the_recipe() -> None:
    assert list(RECIPE_KEYS) == list(Recipe.model_fields)
    typed = dict(parse_setting(f"{key}={one.default}") for key, one in RECIPE_KEYS.items())
    assert make_recipe(typed) == Recipe()
    for key, field in Recipe.model_fields.items():
        words = [part for part in get_args(field.annotation) if isinstance(part, str)]  # of a Literal
        assert all(word in RECIPE_KEYS[key].meaning for word in words)
