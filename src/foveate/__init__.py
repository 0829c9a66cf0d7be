"""foveate: attention modules for convolutional networks, plugged in, compared and priced.

Importing it imports nothing else: torch and timm are imported when a name is first used. The names
BACKBONE_MECHANISM are registered with timm at once if timm is imported, or else when it is.
"""

import warnings
from typing import TYPE_CHECKING

from foveate.lazy import lazy_names
from foveate.registration import register_with_timm
from foveate.version import __version__

if TYPE_CHECKING:
    from torch import Tensor, nn

    from foveate.attention import create_attention, list_attention
    from foveate.models.checkpoint.hub import from_pretrained, push_to_hub, save_pretrained
    from foveate.models.checkpoint.save_load import load, save
    from foveate.models.checkpoint.state_dicts import load_weights
    from foveate.models.export.export import export
    from foveate.models.folding.folding import fold
    from foveate.models.sites.attach import attach, attached, detach
    from foveate.models.sites.capture import capture
    from foveate.models.sites.find import Site, sites
    from foveate.models.sites.kernel_paths import SitePath, kernel_paths, set_path

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
    "fold",
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "create_attention": "foveate.attention",
        "list_attention": "foveate.attention",
        "from_pretrained": "foveate.models.checkpoint.hub",
        "push_to_hub": "foveate.models.checkpoint.hub",
        "save_pretrained": "foveate.models.checkpoint.hub",
        "load": "foveate.models.checkpoint.save_load",
        "save": "foveate.models.checkpoint.save_load",
        "load_weights": "foveate.models.checkpoint.state_dicts",
        "export": "foveate.models.export.export",
        "fold": "foveate.models.folding.folding",
        "attach": "foveate.models.sites.attach",
        "attached": "foveate.models.sites.attach",
        "detach": "foveate.models.sites.attach",
        "capture": "foveate.models.sites.capture",
        "Site": "foveate.models.sites.find",
        "sites": "foveate.models.sites.find",
        "SitePath": "foveate.models.sites.kernel_paths",
        "kernel_paths": "foveate.models.sites.kernel_paths",
        "set_path": "foveate.models.sites.kernel_paths",
    },
    modules=("attention", "errors", "files", "kernels", "models", "modes", "torch_private"),
)


def explain(model: "nn.Module", images: "Tensor | None" = None) -> "list[SitePath]":
    """Return `kernel_paths(model, images)`, by its former name, which is deprecated.

    The command `foveate explain` is another thing: it makes and scores heat maps of trained networks. What
    Python has of it is `foveate.capture`, which records the maps that attention itself computes.
    """
    from foveate.models.sites.kernel_paths import kernel_paths

    warnings.warn(
        "foveate.explain is now foveate.kernel_paths; the old name will be removed",
        DeprecationWarning,
        stacklevel=2,
    )
    return kernel_paths(model, images)


register_with_timm()
