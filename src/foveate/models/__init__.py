"""Networks. `sites`: where attention goes, and how it gets in and out. `backbones`: networks by name.
`checkpoint`: networks as files. `export`: networks as ONNX and torch.export programs.

Each folder imports only those before it.
"""

from foveate.models.backbones import registry  # noqa: F401  registers the names
from foveate.models.checkpoint.hub import from_pretrained, push_to_hub, save_pretrained
from foveate.models.checkpoint.save_load import load, save
from foveate.models.checkpoint.state_dicts import load_weights
from foveate.models.sites.attach import IdentityGate, attach, attached, detach
from foveate.models.sites.capture import capture
from foveate.models.sites.find import Site
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
