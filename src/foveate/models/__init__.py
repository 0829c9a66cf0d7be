"""Networks. `sites`: where attention goes, and how it gets in and out. `backbones`: networks by name.
`dense`: detectors and segmenters. `checkpoint`: networks as files. `export`: networks as ONNX and
torch.export programs. `folding`: attention that is a constant, folded into the layers beside it.

Each folder imports only those before it.
"""

from typing import TYPE_CHECKING

from foveate.lazy import lazy_names

if TYPE_CHECKING:
    from foveate.models.checkpoint.hub import from_pretrained, push_to_hub, save_pretrained
    from foveate.models.checkpoint.save_load import load, save
    from foveate.models.checkpoint.state_dicts import load_weights
    from foveate.models.sites.attach import attach, attached, detach
    from foveate.models.sites.capture import capture
    from foveate.models.sites.find import Site
    from foveate.models.sites.gate import IdentityGate
    from foveate.models.sites.kernel_paths import SitePath, kernel_paths, set_path

__all__ = [
    "IdentityGate",
    "Site",
    "SitePath",
    "attach",
    "attached",
    "capture",
    "detach",
    "from_pretrained",
    "kernel_paths",
    "load",
    "load_weights",
    "push_to_hub",
    "save",
    "save_pretrained",
    "set_path",
]

# Registering the names with timm must not import all of these.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "from_pretrained": "foveate.models.checkpoint.hub",
        "push_to_hub": "foveate.models.checkpoint.hub",
        "save_pretrained": "foveate.models.checkpoint.hub",
        "load": "foveate.models.checkpoint.save_load",
        "save": "foveate.models.checkpoint.save_load",
        "load_weights": "foveate.models.checkpoint.state_dicts",
        "IdentityGate": "foveate.models.sites.gate",
        "attach": "foveate.models.sites.attach",
        "attached": "foveate.models.sites.attach",
        "detach": "foveate.models.sites.attach",
        "capture": "foveate.models.sites.capture",
        "Site": "foveate.models.sites.find",
        "SitePath": "foveate.models.sites.kernel_paths",
        "kernel_paths": "foveate.models.sites.kernel_paths",
        "set_path": "foveate.models.sites.kernel_paths",
    },
    modules=("backbones", "checkpoint", "dense", "export", "folding", "sites"),
)
