"""Networks: where attention goes in them, how it gets in and out, how they are kept, and timm's names."""

from foveate.models import registry  # noqa: F401  registers the names
from foveate.models.attach import IdentityGate, attach, attached, detach
from foveate.models.capture import capture
from foveate.models.hub import from_pretrained, push_to_hub, save_pretrained
from foveate.models.loading import load_weights
from foveate.models.paths import SitePath, explain, set_path
from foveate.models.sites import Site, sites
from foveate.models.weights import load, save

__all__ = [
    "IdentityGate",
    "Site",
    "SitePath",
    "attach",
    "attached",
    "capture",
    "detach",
    "explain",
    "from_pretrained",
    "load",
    "load_weights",
    "push_to_hub",
    "save",
    "save_pretrained",
    "set_path",
    "sites",
]
