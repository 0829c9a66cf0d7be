"""What `attach` is given in place of a mechanism's name: a class of one's own, a function, modules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from torch import nn

from foveate.attention import Mechanism, find_custom, find_mechanism, mechanism_name
from foveate.attention.custom import CustomMechanism, custom_mechanism
from foveate.attention.options import Options
from foveate.calls import read_call
from foveate.errors import RequestError
from foveate.notation import count

__all__ = ["Built", "Given", "MechanismLike", "read_given"]

MechanismLike = str | type[nn.Module] | Callable[..., nn.Module] | Sequence[nn.Module]
"""A name, or the place of a class; a class; a function of the channels; a module for each site."""

CUSTOM_PLACE = Mechanism(nn.Module, "", "block")
"""Where attention goes that is not one of foveate's: no paper gives it a place."""


@dataclass(frozen=True)
class Given:
    """The mechanism that was given: where it usually goes, and what builds it, if that is not foveate.

    Attributes:
        mechanism: its usual place.
        name: of a mechanism of foveate; "" for any other.
        custom: a class or a function of one's own.
        modules: modules that are built already, one for each site.
        options: that were written behind the name.
    """

    mechanism: Mechanism
    name: str = ""
    custom: CustomMechanism | None = None
    modules: tuple[nn.Module, ...] = ()
    options: Options = field(default_factory=dict)

    def for_sites(self, sites: int, options: Options) -> list[tuple[str, CustomMechanism | None]]:
        """Return the name and the maker at each of the sites; raises RequestError if modules do not fit."""
        if self.modules:
            makers = _one_each(self.modules, sites, options)
            return [(maker.name, maker) for maker in makers]
        return [(self.custom.name if self.custom else self.name, self.custom)] * sites


def read_given(given: MechanismLike) -> Given:
    """Return what `given` means; raises RequestError for an unknown name, or what builds no modules."""
    if isinstance(given, nn.Module) or (isinstance(given, Sequence) and not isinstance(given, str)):
        return Given(CUSTOM_PLACE, modules=_modules(given))
    if not isinstance(given, str):
        return Given(CUSTOM_PLACE, custom=custom_mechanism(given))
    written, options = read_call(given)
    if custom := find_custom(written):
        return Given(CUSTOM_PLACE, custom=custom, options=options)
    name = mechanism_name(written)
    return Given(find_mechanism(name), name, options=options)


def _modules(given: nn.Module | Sequence[Any]) -> tuple[nn.Module, ...]:
    """Return one module, or the modules of a list, torch's nn.ModuleList too."""
    single = isinstance(given, nn.Module) and not isinstance(given, nn.ModuleList)
    several = (cast(nn.Module, given),) if single else tuple(cast(Sequence[Any], given))
    if not several or not all(isinstance(one, nn.Module) for one in several):
        raise RequestError(f"expected a module for each site, got {given!r}")
    return several


def _one_each(modules: Sequence[nn.Module], sites: int, options: Options) -> list[CustomMechanism]:
    if options:
        raise RequestError(f"{', '.join(options)} cannot be given to modules that are built already")
    if len(modules) != sites:
        raise RequestError(
            f"{count(len(modules), 'module')} for {count(sites, 'site')}: give one for each in the order of "
            "the sites, or a class, or a function that takes the channels and returns a module"
        )
    if len({id(module) for module in modules}) < len(modules):
        raise RequestError("a module was given for more than one site: give each site a module of its own")
    return [CustomMechanism(type(module).__name__, Built(module)) for module in modules]


@dataclass(frozen=True)
class Built:
    """Stands for a class where a module was given that is built already."""

    module: nn.Module

    def __call__(self, channels: int) -> nn.Module:
        """Return the module; how it was built is not known."""
        return self.module
