"""A person's own class as a mechanism: it is loaded from its file, and its constructor gets the channels."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from torch import nn

from foveate.attention.importing import import_reference, import_sources, in_its_lines
from foveate.errors import RequestError, unknown_name
from foveate.notation import listing
from foveate.references import EXAMPLE, Reference, Sources, class_name, find_file, read_sources

__all__ = ["CHANNELS", "CustomMechanism", "custom_mechanism", "load_custom", "load_sources"]

CHANNELS = (
    "channels",
    "in_channels",
    "dim",
    "inplanes",
    "in_planes",
    "in_dim",
    "in_channel",
    "channel",
    "num_channels",
    "in_chs",
    "planes",
    "c1",
    "ch",
    "c",
)
"""The names by which constructors take the number of channels, the usual ones first."""

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class CustomMechanism:
    """A mechanism that is not one of foveate's.

    Attributes:
        name: as tables, runs and files name it, such as mine.py:MyAttention.
        make: the class, or a function that returns a module.
        sources: its source code; None where no file has it.
    """

    name: str
    make: Callable[..., nn.Module]
    sources: Sources | None = None

    @property
    def options(self) -> Mapping[str, inspect.Parameter]:
        """The parameters of the constructor that are options: all but the channels."""
        parameters = _parameters(self)
        channels = _find_channels(parameters)
        return {name: one for name, one in parameters.items() if one.kind in NAMED and one is not channels}

    def build(self, channels: int, **options: Any) -> nn.Module:
        """Build the module for maps of `channels` channels.

        Raises RequestError for a constructor that cannot be called so, and for what is no module; TypeError
        for an option that it does not have.
        """
        parameter = _find_channels(_parameters(self))
        self._check(options)
        given: tuple[int, ...] = ()
        if parameter is not None and parameter.kind in NAMED:
            options = {parameter.name: channels} | options
        elif parameter is not None:
            given = (channels,)
        try:
            module = self.make(*given, **options)
        except RequestError:
            raise
        except Exception as error:  # a class of one's own raises what it likes
            raise RequestError(
                f"{self.name} cannot be built for {channels} channels: {in_its_lines(error)}"
            ) from error
        if not isinstance(module, nn.Module):
            raise RequestError(
                f"{self.name} gives {_kind(module)}: expected a torch.nn.Module, which takes a map "
                "(B, C, H, W) and returns one of the same shape"
            )
        return module

    def __deepcopy__(self, memo: dict[int, Any]) -> "CustomMechanism":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Let networks be pickled whose attention came from a function that has no name, such as a lambda."""
        return CustomMechanism, (
            self.name,
            self.make if _has_name(self.make) else _unknown_maker,
            self.sources,
        )

    def _check(self, options: Mapping[str, Any]) -> None:
        known = self.options
        is_open = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in _parameters(self).values())
        for option in options:
            if option not in known and not is_open:
                raise TypeError(unknown_name(f"option of {self.name}", option, known))
        missing = [
            name
            for name, one in known.items()
            if one.default is inspect.Parameter.empty and name not in options
        ]
        if missing:
            raise RequestError(
                f"{self.name} needs {listing(missing)}, and foveate knows the number of channels alone: "
                f"{_cure(self, missing)}"
            )


def custom_mechanism(made: Callable[..., nn.Module]) -> CustomMechanism:
    """Return a class, or a function that returns a module, as a mechanism.

    Raises RequestError for a class that is no torch.nn.Module.
    """
    _refuse_other_class(made)
    if not callable(made):
        raise RequestError(
            f"{made!r} is no attention mechanism: expected a name such as dmsca, a place such as {EXAMPLE}, "
            "a class, or a function that takes the channels and returns a module"
        )
    reference = _reference_of(made)
    if reference is None:
        return CustomMechanism(getattr(made, "__name__", type(made).__name__), made)
    return CustomMechanism(reference.short, made, read_sources(reference))


def _refuse_other_class(made: object) -> None:
    if isinstance(made, type) and not issubclass(made, nn.Module):
        raise RequestError(
            f"{made.__name__} is no torch.nn.Module: expected a class whose modules take a map (B, C, H, W) "
            "and return one of the same shape"
        )


def _reference_of(made: Callable[..., nn.Module]) -> Reference | None:
    """Return where a class or function can be found again; None for a lambda, or one inside a function."""
    name = getattr(made, "__qualname__", "")
    if not name.isidentifier():
        return None
    try:
        file = inspect.getsourcefile(made)
    except TypeError:  # defined in no file, as in an interactive session
        return None
    found = file is not None and file.endswith(".py") and Path(file).is_file()
    return Reference(str(file), name) if found else None


_loaded: dict[tuple[str, str], CustomMechanism] = {}
"""What was loaded, by its reference and the digest of its sources."""


def load_custom(reference: Reference) -> CustomMechanism:
    """Return the class of `reference`; this imports its file.

    Raises RequestError where there is no such file or class, where it cannot be imported, or where it is no
    torch.nn.Module.
    """
    sources = read_sources(reference)
    file = find_file(reference)
    key = f"{file}:{reference.name}", sources.digest
    if key not in _loaded:
        made = _find_class(import_reference(reference, file, sources), reference)
        _loaded[key] = CustomMechanism(reference.short, made, sources)
    return _loaded[key]


def load_sources(name: str, sources: Sources, folder: Path) -> CustomMechanism:
    """Return the class of mechanism `name` from `sources`, whose files are in `folder`; it is imported.

    Raises RequestError as `load_custom` does.
    """
    module = import_sources(name, folder, sources)
    reference = Reference(str(folder / sources.main), class_name(name))
    return CustomMechanism(name, _find_class(module, reference), sources)


def _find_class(module: ModuleType, reference: Reference) -> Callable[..., nn.Module]:
    made = getattr(module, reference.name, None)
    if not callable(made):
        raise RequestError(
            f"{reference} is {_kind(made)}: expected a class, or a function that returns a module"
        )
    _refuse_other_class(made)
    return cast(Callable[..., nn.Module], made)


def _parameters(own: CustomMechanism) -> Mapping[str, inspect.Parameter]:
    if getattr(own.make, "__init__", None) is nn.Module.__init__:
        return {}
    try:
        return inspect.signature(own.make).parameters
    except (TypeError, ValueError) as error:
        raise RequestError(f"the parameters of {own.name} cannot be found ({error})") from error


def _find_channels(parameters: Mapping[str, inspect.Parameter]) -> inspect.Parameter | None:
    """Return the parameter that takes the number of channels; None where all have other defaults.

    It is the first with one of the names in `CHANNELS`, or else the first without a default.
    """
    for name in CHANNELS:
        if name in parameters:
            return parameters[name]
    needed = [
        one
        for one in parameters.values()
        if one.default is inspect.Parameter.empty and one.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    return next((one for one in needed if one.kind is not inspect.Parameter.KEYWORD_ONLY), None)


def _has_name(made: Callable[..., nn.Module]) -> bool:
    """Return whether `made` can be found by its module and its name."""
    module = sys.modules.get(getattr(made, "__module__", "") or "")
    return getattr(module, getattr(made, "__qualname__", ""), None) is made


def _unknown_maker(channels: int, **options: Any) -> nn.Module:
    raise RequestError(
        "this attention came from a function without a name, which was lost when the network was pickled"
    )


def _cure(custom: CustomMechanism, missing: list[str]) -> str:
    """Say how a constructor gets all that it needs: by options, or by a function around it."""
    options = f"give options, as in {custom.name}({missing[0]}=…)"
    name = getattr(custom.make, "__name__", "")
    if not name.isidentifier():
        return "pass a function of the channels alone"
    channels = _find_channels(_parameters(custom))
    given = [f"{channels.name}=channels"] if channels is not None else []
    given += [f"{one}=channels" if _is_output(one) else f"{one}=…" for one in missing]
    wrapper = f"    def make_{name.lower()}(channels):\n        return {name}({', '.join(given)})"
    words = "wrap it" if any(map(_is_output, missing)) else f"{options}, or wrap it"
    return f"{words}, and name the function in place of the class:\n{wrapper}"


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def _is_output(name: str) -> bool:
    """Return whether a parameter is the number of channels of the output, which is that of the input."""
    return "out" in name or name in ("oup", "c2")
