"""Networks: where attention goes in them, how it gets in and out, and the names registered with timm."""

from foveate.models import registry  # noqa: F401  registers the names
from foveate.models.attach import IdentityGate, attach, attached, detach
from foveate.models.sites import Site, sites

__all__ = ["IdentityGate", "Site", "attach", "attached", "detach", "sites"]
