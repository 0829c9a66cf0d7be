"""The names BACKBONE_MECHANISM are registered with timm as soon as timm is imported, and not before.

`import foveate` does not import timm, and with it torch, because that takes seconds. Where timm is imported
already, the names are registered at once. Where it is not, a finder on `sys.meta_path` waits for its import,
and the registration is the last step of that import.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["register_with_timm"]

REGISTRY = "foveate.models.backbones.registry"


def register_with_timm() -> None:
    """Register the names now if timm is imported, or else when it is."""
    if "timm" in sys.modules:
        importlib.import_module(REGISTRY)
    elif not any(isinstance(finder, _TimmFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TimmFinder())


class _TimmFinder:
    """Finds timm where the other finders do, and lets its import end with the registration."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return None for all but timm; for timm the spec of the other finders, whose loader registers."""
        if name != "timm":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            run(module)
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
            importlib.import_module(REGISTRY)

        vars(spec.loader)["exec_module"] = run_and_register  # in place of its method: it stays what it is
        return spec
