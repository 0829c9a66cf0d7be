"""foveate: attention modules for convolutional networks, plugged in, compared and priced.

Importing it loads torch and timm alone, and registers the names BACKBONE_MECHANISM with timm.
"""

from foveate.attention import create_attention, list_attention
from foveate.models import (
    Site,
    SitePath,
    attach,
    attached,
    capture,
    detach,
    explain,
    from_pretrained,
    load,
    load_weights,
    push_to_hub,
    save,
    save_pretrained,
    set_path,
    sites,
)
from foveate.models.export.export import export
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
    "list_attention",
    "load",
    "load_weights",
    "push_to_hub",
    "save",
    "save_pretrained",
    "set_path",
    "sites",
]
