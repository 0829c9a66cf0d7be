"""foveate: attention modules for convolutional networks, plugged in, compared and priced.

Importing it loads only torch and timm, and registers the names BACKBONE_MECHANISM with timm.
"""

import warnings

from torch import Tensor, nn

from foveate.attention import create_attention, list_attention
from foveate.models import (
    Site,
    SitePath,
    attach,
    attached,
    capture,
    detach,
    from_pretrained,
    kernel_paths,
    load,
    load_weights,
    push_to_hub,
    save,
    save_pretrained,
    set_path,
)
from foveate.models.export.export import export
from foveate.models.sites.find import sites
from foveate.version import __version__

__all__ = [
    "Site",
    "SitePath",
    "__version__",
    "attach",
    "attached",
    "capture",
    "create_attention",
    "detach",
    "explain",
    "export",
    "from_pretrained",
    "kernel_paths",
    "list_attention",
    "load",
    "load_weights",
    "push_to_hub",
    "save",
    "save_pretrained",
    "set_path",
    "sites",
]


def explain(model: nn.Module, images: Tensor | None = None) -> list[SitePath]:
    """Return `kernel_paths(model, images)`. Deprecated: `foveate explain` is the command for heat maps."""
    warnings.warn(
        "foveate.explain is now foveate.kernel_paths; the old name will be removed",
        DeprecationWarning,
        stacklevel=2,
    )
    return kernel_paths(model, images)
