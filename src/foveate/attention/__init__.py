"""Attention mechanisms, one file per paper, each (B, C, H, W) -> (B, C, H, W).

A new mechanism is one file here, one line in `MECHANISMS` and one golden value in the tests.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn

from foveate.attention.a2 import DoubleAttention
from foveate.attention.bam import BAM
from foveate.attention.cbam import CBAM
from foveate.attention.coordinate import CoordinateAttention
from foveate.attention.custom import CustomMechanism, custom_mechanism, load_custom
from foveate.attention.dmsca import DMSCA
from foveate.attention.eca import ECA
from foveate.attention.gam import GAM
from foveate.attention.nam import NAM
from foveate.attention.options import check_count
from foveate.attention.se import SE
from foveate.attention.sgfa import SCPA, SGFA, SGU, SGFAChannelMask
from foveate.attention.simam import SimAM
from foveate.attention.triplet import TripletAttention
from foveate.calls import read_call
from foveate.errors import RequestError, unknown_name
from foveate.known_names import reference_of, registered_names
from foveate.names import meant
from foveate.references import is_reference

__all__ = [
    "MECHANISMS",
    "Mechanism",
    "create_attention",
    "find_custom",
    "find_mechanism",
    "list_attention",
    "mechanism_name",
]

Where = Literal["block", "stage"]


@dataclass(frozen=True)
class Mechanism:
    """The module of a mechanism, its paper, and where in a network the paper puts it."""

    module: type[nn.Module]
    paper: str
    where: Where
    stages: tuple[int, ...] | None = None  # counted from 1; None stands for all


MECHANISMS: dict[str, Mechanism] = {
    "a2": Mechanism(DoubleAttention, "Chen et al. 2018, arXiv:1810.11579", "stage", (2, 3)),
    "bam": Mechanism(BAM, "Park et al. 2018, arXiv:1807.06514", "stage", (1, 2, 3)),
    "ca": Mechanism(CoordinateAttention, "Hou et al. 2021, arXiv:2103.02907", "block"),
    "cbam": Mechanism(CBAM, "Woo et al. 2018, arXiv:1807.06521", "block"),
    "dmsca": Mechanism(DMSCA, "Zong et al. 2026, doi:10.1038/s41598-026-37546-3", "block"),
    "eca": Mechanism(ECA, "Wang et al. 2020, arXiv:1910.03151", "block"),
    "gam": Mechanism(GAM, "Liu et al. 2021, arXiv:2112.05561", "block"),
    "nam": Mechanism(NAM, "Liu et al. 2021, arXiv:2111.12419", "block"),
    "scpa": Mechanism(SCPA, "Haq et al. 2025, doi:10.22214/ijraset.2025.73344", "stage", (1, 2, 3)),
    "se": Mechanism(SE, "Hu et al. 2018, arXiv:1709.01507", "block"),
    "sgfa": Mechanism(SGFA, "Haq et al. 2025, doi:10.22214/ijraset.2025.73344", "stage", (1, 2, 3)),
    "sgfa_ca": Mechanism(
        SGFAChannelMask, "Haq et al. 2025, doi:10.22214/ijraset.2025.73344", "stage", (1, 2, 3)
    ),
    "sgu": Mechanism(SGU, "Haq et al. 2025, doi:10.22214/ijraset.2025.73344", "stage", (1, 2, 3)),
    "simam": Mechanism(SimAM, "Yang et al. 2021, PMLR 139:11863-11874", "block"),
    "triplet": Mechanism(TripletAttention, "Misra et al. 2021, arXiv:2010.03045", "block"),
}


def list_attention() -> list[str]:
    """Return the sorted names of all mechanisms: foveate's, and those that installed packages register."""
    return sorted([*MECHANISMS, *registered_names()])


def find_mechanism(name: str) -> Mechanism:
    """Return foveate's mechanism called `name`; an unknown name raises RequestError with the nearest."""
    return MECHANISMS[mechanism_name(name)]


def find_custom(name: str) -> CustomMechanism | None:
    """Return the class that `name` refers to, which is imported for that; None for any other name.

    It is mine.py:MyAttention, package.module:MyAttention, or a name that an installed package registers.
    Raises RequestError where the class cannot be imported (see `foveate.attention.custom`).
    """
    if name in MECHANISMS or (reference := reference_of(name)) is None:
        return None
    found = load_custom(reference)
    return found if is_reference(name) else replace(found, name=name)


def mechanism_name(name: str) -> str:
    """Return a mechanism's name as foveate writes it: cbam for CBAM; raises as `find_mechanism` does."""
    if not isinstance(name, str) or (found := meant(name, MECHANISMS)) not in MECHANISMS:
        raise RequestError(unknown_name("attention mechanism", str(name), list_attention()))
    return found


def create_attention(
    name: str | type[nn.Module] | Callable[..., nn.Module], channels: int, **options: Any
) -> nn.Module:
    """Build the mechanism called `name` for maps of `channels` channels.

    `name` can have options, as in `dmsca(reduction=8)`. It can be the place of a class of one's own,
    `mine.py:MyAttention` or `package.module:MyAttention`, the class itself, or a function that takes the
    channels and returns a module. `options` go to the constructor. Raises RequestError (a ValueError) for an
    unknown name or an invalid value, and TypeError for an option that the mechanism does not have.
    """
    if not isinstance(name, str):
        return custom_mechanism(name).build(check_count("channels", channels), **options)
    name, given = read_call(name)
    options = given | options
    custom = find_custom(name)
    if custom is not None:
        return custom.build(check_count("channels", channels), **options)
    module = find_mechanism(name).module
    accepted = [option for option in inspect.signature(module).parameters if option != "channels"]
    for option in options:
        if option not in accepted:
            raise TypeError(unknown_name(f"option of {name}", option, accepted))
    return module(channels, **options)
