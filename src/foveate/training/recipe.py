"""The recipe: every choice of a training that is not the data, the network or the seed.

A recipe is validated before anything runs and is written whole into each result. The named ones are YAML
files in `foveate/recipes/`.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import timm.optim
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from foveate.errors import RequestError, unknown_name

__all__ = ["Recipe", "faults_in_words", "make_recipe", "named_recipes", "parse_setting", "read_recipe"]


class Recipe(BaseModel):
    """How a network is trained; the same for every mechanism of a study."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(30, ge=1, description="passes over the training part")
    batch_size: int = Field(64, ge=2, description="images per step")
    optimizer: str = Field(
        "sgd", description="any of timm's; 'sgd' has Nesterov momentum, 'momentum' has not"
    )
    learning_rate: float = Field(0.1, gt=0, description="peak of the schedule")
    momentum: float = Field(0.9, ge=0, lt=1, description="for the optimisers that have one")
    weight_decay: float = Field(5e-4, ge=0)
    decay_norm_and_bias: bool = Field(False, description="weight decay on 1-d parameters too")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(0.1, ge=0, lt=1, description="share of the steps that climb to the peak")
    final_learning_rate: float = Field(0.0, ge=0, description="where cosine and linear end")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    clip_grad_norm: float | None = Field(None, gt=0)
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="average the weights; the average is judged"
    )
    augmentation: tuple[str, ...] = Field(
        ("crop", "flip"), description="crop, flip, resized_crop, jitter, erase"
    )
    validation_fraction: float = Field(0.1, gt=0, lt=1, description="of the training part, by seed")
    choose: Literal["best", "last"] = Field("best", description="which epoch's weights are tested")
    monitor: Literal["accuracy", "loss"] = Field("accuracy", description="what 'best' means, on validation")
    patience: int | None = Field(None, ge=1, description="stop after so many epochs without a better one")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = False
    compile: bool = Field(False, description="torch.compile the network")

    @field_validator("augmentation", mode="before")
    @classmethod
    def _names_from_text(cls, given: Any) -> Any:
        if given is None or isinstance(given, str):
            return [name.strip() for name in (given or "").split(",") if name.strip()]
        return given

    @field_validator("optimizer")
    @classmethod
    def _optimizer_is_known(cls, name: str) -> str:
        known = [str(known) for known in timm.optim.list_optimizers()]
        if name not in known:
            raise ValueError(unknown_name("optimizer", name, known))
        return name


def make_recipe(settings: Mapping[str, Any], origin: str = "the recipe") -> Recipe:
    """Validate `settings`; keys that are left out take their defaults.

    Raises:
        RequestError: an unknown key (the nearest is named) or a value that its key cannot take.
    """
    for key in settings:
        if key not in Recipe.model_fields:
            raise RequestError(
                f"{origin}: {unknown_name('recipe key', str(key), Recipe.model_fields, show=40)}"
            )
    try:
        return Recipe.model_validate(dict(settings))
    except ValidationError as error:
        raise RequestError(f"{origin}: {faults_in_words(error)}") from error


def faults_in_words(error: ValidationError) -> str:
    """What was given and what was expected, for each value that was refused."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))} = {fault['input']!r}: {fault['msg']}" for fault in error.errors()
    )


def named_recipes() -> dict[str, Path]:
    """The recipes that come with foveate: name -> file."""
    folder = Path(str(resources.files("foveate"))) / "recipes"
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def read_recipe(name: str) -> dict[str, Any]:
    """The settings of a recipe that comes with foveate, by its name, or of a YAML file, by its path."""
    known = named_recipes()
    path = known.get(name, Path(name))
    if not path.is_file():
        raise RequestError(f"{unknown_name('recipe', name, known)} Or give the path of a YAML file.")
    return read_yaml(path)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is not YAML: {error}") from error
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RequestError(f"{path}: expected a mapping of keys to values, found a {type(content).__name__}")
    return content


def parse_setting(text: str) -> tuple[str, Any]:
    """Read one KEY=VALUE of the command line; a list is written with commas (augmentation=crop,flip)."""
    key, equals, value = text.partition("=")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        equals = ""
    if not equals:
        raise RequestError(
            f"--set takes KEY=VALUE, for example epochs=10 or augmentation=crop,flip; given {text!r}"
        )
    return key.strip().replace("-", "_"), parsed
