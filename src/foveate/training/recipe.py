"""The recipe: every setting of a training except the data, the network and the seed.

A recipe is validated before anything runs and is recorded in full with each result. Named recipes are YAML
files in `foveate/recipes/`.
"""

import reprlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)
from pydantic_core import ErrorDetails

from foveate import yaml_text
from foveate.errors import RequestError, unknown_name
from foveate.known_names import installed_names

__all__ = [
    "Number",
    "Part",
    "Recipe",
    "Whole",
    "faults_in_words",
    "make_recipe",
    "named_recipes",
    "optimizer_names",
    "parse_setting",
    "read_recipe",
    "read_yaml",
]

TEXT_FAULTS = ("string_type", "literal_error")
"""Pydantic's error types for a word that YAML may have read as another type, such as `no` as false."""


def _refuse_switch(given: Any) -> Any:
    if isinstance(given, bool):
        raise ValueError("expected a number, not true or false")
    return given


Whole = Annotated[int, BeforeValidator(_refuse_switch)]
Number = Annotated[float, BeforeValidator(_refuse_switch)]
"""Numbers in settings. Pydantic by itself reads true as 1."""


Part = Literal["backbone", "attention", "head"]
"""The parts of a network that can learn at different rates."""
RATES: dict[Part, str] = {"backbone": "backbone_rate", "attention": "attention_rate", "head": "head_rate"}
"""The recipe keys of the rates of the parts."""
LATER: dict[str, Any] = dict.fromkeys(RATES.values(), 1) | {
    "loss": "cross_entropy",
    "class_weights": "none",
    "sync_batchnorm": False,
}
"""The keys that earlier recipes did not have, with their defaults."""


class Recipe(BaseModel):
    """How a network is trained; the same for every mechanism of a study (recipe_keys.py explains the keys).

    The keys in `LATER` are written only where they have not their defaults, because earlier recipes did not
    have them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: Whole = Field(30, ge=1)
    batch_size: Whole = Field(64, ge=2)
    optimizer: str = "sgd"
    learning_rate: Number = Field(0.1, gt=0)
    backbone_rate: Number = Field(1.0, gt=0)
    attention_rate: Number = Field(1.0, gt=0)
    head_rate: Number = Field(1.0, gt=0)
    momentum: Number = Field(0.9, ge=0, lt=1)
    weight_decay: Number = Field(5e-4, ge=0)
    decay_norm_and_bias: bool = False
    schedule: Literal["cosine", "linear", "poly", "step", "constant"] = "cosine"
    warmup_ratio: Number = Field(0.1, ge=0, lt=1)
    final_learning_rate: Number = Field(0.0, ge=0)
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    loss: Literal["cross_entropy", "dice", "both"] = "cross_entropy"
    class_weights: Literal["none", "balanced"] = "none"
    clip_grad_norm: Number | None = Field(None, gt=0)
    ema_decay: Number | None = Field(None, gt=0, lt=1)
    augmentation: tuple[str, ...] = ("crop", "flip")
    validation_fraction: Number = Field(0.1, gt=0, lt=1)
    choose: Literal["best", "last"] = "best"
    monitor: Literal["accuracy", "loss"] = "accuracy"
    patience: Whole | None = Field(None, ge=1)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = False
    compile: bool = False
    sync_batchnorm: bool = False

    def rate(self, part: Part) -> float:
        """Return the share of the learning rate that `part` of the network takes."""
        return float(getattr(self, RATES[part]))

    @property
    def has_part_rates(self) -> bool:
        """Whether some part of the network learns at another rate than the rest."""
        return any(self.rate(part) != 1 for part in RATES)

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialise(self)
        return {key: value for key, value in content.items() if key not in LATER or value != LATER[key]}

    @field_validator("augmentation", mode="before")
    @classmethod
    def _names_from_text(cls, given: Any) -> Any:
        if given is None or isinstance(given, str):
            return [name.strip() for name in (given or "").split(",") if name.strip()]
        return given

    @field_validator("optimizer")
    @classmethod
    def _optimizer_is_known(cls, name: str) -> str:
        if name not in optimizer_names():
            raise ValueError(unknown_name("optimizer", name, optimizer_names()))
        return name


def make_recipe(settings: Mapping[str, Any], origin: str = "the recipe") -> Recipe:
    """Validate `settings`; missing keys take their defaults.

    Raises:
        RequestError: an unknown key (the nearest is named) or an invalid value.
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
    """Describe each refused value: what was given and what was expected."""
    return "; ".join(_fault_in_words(fault) for fault in error.errors())


def _fault_in_words(fault: ErrorDetails) -> str:
    given = fault["input"]
    taken_for_else = fault["type"] in TEXT_FAULTS and isinstance(given, bool | int | float)
    quotes = ". YAML does not read it as text: put it in quotes" * taken_for_else
    return f"{'.'.join(map(str, fault['loc']))} = {reprlib.repr(given)}: {fault['msg']}{quotes}"


def optimizer_names() -> tuple[str, ...]:
    """Return the names of timm's optimisers."""
    if known := installed_names():
        return known.optimizers
    import timm.optim

    return tuple(map(str, timm.optim.list_optimizers()))


def named_recipes() -> dict[str, Path]:
    """Return the files of the recipes that come with foveate, by name."""
    folder = Path(str(resources.files("foveate"))) / "recipes"
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def read_recipe(name: str) -> dict[str, Any]:
    """Return the settings of a recipe of foveate, by its name, or of a YAML file, by its path."""
    known = named_recipes()
    path = known.get(name, Path(name))
    if not path.is_file():
        raise RequestError(f"{unknown_name('recipe', name, known)} Or give the path of a YAML file.")
    return read_yaml(path)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file."""
    content = yaml_text.read_yaml(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RequestError(f"{path}: expected a mapping of keys to values, found a {type(content).__name__}")
    return content


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse one KEY=VALUE of the command line; a list has commas (augmentation=crop,flip)."""
    key, equals, value = text.partition("=")
    try:
        parsed = yaml_text.parse_yaml(value)
    except RequestError:
        equals = ""
    if not equals:
        raise RequestError(
            f"--set takes KEY=VALUE, for example epochs=10 or augmentation=crop,flip; got {text!r}"
        )
    return key.strip().replace("-", "_"), parsed
