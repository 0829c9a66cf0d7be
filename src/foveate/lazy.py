"""Names of a package that are imported when they are first used (PEP 562); importing the package is cheap."""

import importlib
import sys
from collections.abc import Callable, Collection, Mapping

__all__ = ["lazy_names"]


def lazy_names(
    package: str, homes: Mapping[str, str], modules: Collection[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for the package called `package`.

    Args:
        package: its `__name__`.
        homes: each name that the package offers, and the module that defines it.
        modules: the modules of the package that are its attributes before anybody has imported them. With the
            first of them all homes are imported, so that their modules are attributes of theirs.
    """
    namespace = vars(sys.modules[package])

    def get(name: str) -> object:
        if name in homes:
            namespace[name] = getattr(importlib.import_module(homes[name]), name)
        elif name in modules:
            for module in (f"{package}.{name}", *homes.values()):
                importlib.import_module(module)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return namespace[name]

    def names() -> list[str]:
        return sorted({*namespace, *homes, *modules})

    return get, names
