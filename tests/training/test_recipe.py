from pathlib import Path

import pytest

from foveate.data import AUGMENTATIONS
from foveate.errors import RequestError
from foveate.training.recipe import Recipe, make_recipe, named_recipes, parse_setting, read_recipe


def test_defaults_are_a_recipe_and_survive_json() -> None:
    recipe = make_recipe({})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize("name", sorted(named_recipes()))
def test_named_recipes_are_valid_and_promise_something(name: str) -> None:
    recipe = make_recipe(read_recipe(name))
    assert set(recipe.augmentation) <= set(AUGMENTATIONS)
    head = named_recipes()[name].read_text().split("\n\n")[0]
    assert "# Promise:" in head
    assert "# Command:" in head


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown recipe key 'epoch'. Did you mean 'epochs'"),
        ({"learning_rate": float("inf")}, "learning_rate = inf: Input should be a finite number"),
        ({"epochs": 0}, "epochs = 0: Input should be greater than or equal to 1"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast': Input should be a valid number"),
        ({"optimizer": "adamv"}, "unknown optimizer 'adamv'. Did you mean 'adam'"),
        ({"schedule": "cosines"}, "schedule = 'cosines': Input should be 'cosine', 'linear' or 'constant'"),
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
    with pytest.raises(RequestError, match=r"KEY=VALUE, .*given 'epochs"):
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
