"""`foveate sweep`: vary the options of a mechanism one at a time."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from foveate.errors import RequestError, unknown_name
from foveate.records.design import Contrast, Design, Value
from foveate.records.labels import BASELINE
from foveate.studies.spec.candidate import (
    PLACEMENT,
    Candidate,
    OptionValue,
    make_candidate,
    spell,
)
from foveate.studies.spec.options import option_defaults
from foveate.yaml_text import parse_yaml

__all__ = [
    "SweptValues",
    "combine",
    "parse_values",
    "plan_sweep",
    "swept_values",
    "unset",
    "usual_values",
    "write_value",
]

SweptValues = dict[str, dict[str, OptionValue]]
"""Option -> value as a person writes it -> value as the constructor takes it."""

EXAMPLE = "reduction=4,8,16 or kernel_sizes=3|3,5|3,5,7"
UNSET = ("learned", "default")
"""Words for None: a learned temperature, PyTorch's default initialisation."""


def plan_sweep(
    given: Candidate, values: Mapping[str, Sequence[OptionValue]] | Sequence[str]
) -> tuple[tuple[Candidate, ...], Design]:
    """Plan a sweep: the baseline, `given` as it is, and a candidate for each other value.

    Args:
        given: the mechanism with its fixed options.
        values: option -> values, or texts such as `reduction=4,8`.

    Raises:
        RequestError: the mechanism has no such option, or an option has no value or the same value twice.
    """
    by_option = _read_mapping(values) if isinstance(values, Mapping) else _read_all(given, values)
    if not by_option:
        raise RequestError(f"sweep {given.label} names no option: give for example {EXAMPLE}")
    candidates = {BASELINE: Candidate(name=BASELINE), given.label: given}
    contrasts = [Contrast(a=BASELINE, b=given.label, title=given.label, group="against plain")]
    swept: list[Value] = []
    for option, of_option in by_option.items():
        if not isinstance(of_option, list | tuple) or not of_option:
            raise RequestError(f"sweep {option} = {of_option!r}: expected a list of values")
        usual = _value_of(given, option)
        seen: list[OptionValue] = []
        for value in map(unset, of_option):
            if any(_same(value, other) for other in seen):
                raise RequestError(f"sweep {option} names {write_value(option, value)} more than once")
            seen.append(value)
            varied = given if _same(value, usual) else _with(given, option, value)
            written = write_value(option, value)
            swept.append(Value(option=option, value=written, label=varied.label))
            if varied is not given:
                candidates[varied.label] = varied
                title = f"{option} {written} instead of {write_value(option, usual)}"
                contrasts.append(Contrast(a=given.label, b=varied.label, title=title, group=option))
    design = Design(kind="sweep", subject=given.name, contrasts=tuple(contrasts), values=tuple(swept))
    return tuple(candidates.values()), design


def swept_values(candidates: Sequence[Candidate], design: Design) -> SweptValues:
    """Return the values of a planned sweep."""
    by_label = {candidate.label: candidate for candidate in candidates}
    values: SweptValues = {}
    for one in design.values:
        values.setdefault(one.option, {})[one.value] = _value_of(by_label[one.label], one.option)
    return values


def combine(given: Candidate, values: Mapping[str, OptionValue]) -> Candidate:
    """Return `given` with these values of its options; its label names only the values that differ."""
    for option, value in values.items():
        if not _same(value, _value_of(given, option)):
            given = _with(given, option, value)
    return given


def usual_values(given: Candidate, options: Iterable[str]) -> dict[str, str]:
    """Return the values of these options in `given`, as a person writes them."""
    return {option: write_value(option, _value_of(given, option)) for option in options}


def _read_mapping(values: Mapping[Any, Any]) -> dict[str, list[OptionValue]]:
    for option in values:
        if not isinstance(option, str):
            raise RequestError(
                f"sweep values {option!r}: expected the name of an option, for example {EXAMPLE}"
            )
    return dict(values)


def _read_all(given: Candidate, texts: Sequence[str]) -> dict[str, list[OptionValue]]:
    by_option: dict[str, list[OptionValue]] = {}
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise RequestError(f"sweep values {texts!r}: expected options with their values, such as {EXAMPLE}")
    for text in texts:
        option, values = parse_values(given, text)
        if option in by_option:
            raise RequestError(f"sweep names {option} more than once: give all of its values at once")
        by_option[option] = values
    return by_option


def parse_values(given: Candidate, text: str, what: str = "sweep") -> tuple[str, list[OptionValue]]:
    """Read `option=value,value`; values that are lists are separated by bars: `3|3,5`.

    `given` is a mechanism that has the option; `what` takes the text, for errors.
    """
    option, equals, written = text.partition("=")
    option = option.strip().replace("-", "_")
    if not equals or not written.strip():
        raise RequestError(f"{what} takes OPTION=VALUE,VALUE, for example {EXAMPLE}; given {text!r}")
    of_lists = "|" in written or isinstance(_value_of(given, option), list | tuple)
    parts = [part.strip() for part in written.split("|" if of_lists else ",")]
    if not all(parts):
        raise RequestError(f"{what} {text!r}: a value is empty; expected for example {EXAMPLE}")
    try:
        return option, [_read(f"[{part}]" if of_lists else part) for part in parts]
    except RequestError as error:
        raise RequestError(f"{what} {text!r}: expected for example {EXAMPLE}") from error


def _read(text: str) -> Any:
    """Read a value as YAML does, but 1e-3, which YAML reads as a word, as a number."""
    value = parse_yaml(text)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _value_of(given: Candidate, option: str) -> Any:
    """Return the value of `option` in `given`, or else the constructor's default."""
    if option in PLACEMENT:
        return getattr(given, option)
    defaults = option_defaults(given)
    if option not in defaults:
        raise RequestError(unknown_name(f"option of {given.name}", option, [*defaults, *PLACEMENT]))
    return given.options.get(option, defaults[option])


def unset(value: OptionValue) -> OptionValue:
    """Return None for a word that stands for it."""
    return None if value in UNSET else value


def _same(one: OptionValue, other: OptionValue) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return list(one) == list(other)
    return (type(one) is not bool and type(other) is not bool and one == other) or one is other


def _with(given: Candidate, option: str, value: OptionValue) -> Candidate:
    if option in PLACEMENT:
        # With the fields that a dump excludes.
        fields = {key: getattr(given, key) for key in given.model_fields_set} | {option: value}
        return make_candidate(f"sweep {option}={spell(value)}", **fields)
    return given.model_copy(update={"options": given.options | {option: value}})


def write_value(option: str, value: OptionValue) -> str:
    """Return the value of an option as a person writes it."""
    if value is None:
        return "learned" if option == "temperature" else "default"
    return ",".join(map(spell, value)) if isinstance(value, list | tuple) else spell(value)
