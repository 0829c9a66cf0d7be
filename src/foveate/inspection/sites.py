"""What `foveate sites` does: build a network by name, and list where attention can go in it."""

import torch
from torch import nn

from foveate.errors import RequestError
from foveate.models.backbones.create import create_backbone, own_image_size
from foveate.models.sites.find import sites
from foveate.models.sites.map_sizes import map_modules, map_sizes
from foveate.records.sites import ListedSite, SiteList

__all__ = ["list_sites"]


def list_sites(backbone: str, image_size: int | None = None) -> SiteList:
    """Return the sites of the network called `backbone` for images of `image_size` pixels a side.

    In a network whose blocks are not known, these are the modules that give a map (B, C, H, W).

    Raises RequestError for an unknown name, and a size that the network does not take.
    """
    size = own_image_size(backbone) if image_size is None else image_size
    try:
        with torch.device("meta"):
            network = create_backbone(backbone, classes=2, image_size=size)
            listed = _listed(network, size)
    except Exception:  # some constructors read the values of tensors
        network = create_backbone(backbone, classes=2, image_size=size)
        listed = _listed(network, size)
    if not listed:
        raise RequestError(
            f"{backbone} has no module that gives a map (B, C, H, W): attention has no place in it"
        )
    return SiteList(backbone=backbone, image_size=size, sites=tuple(listed))


def _listed(network: nn.Module, size: int) -> list[ListedSite]:
    known = map_sizes(network, sites(network), (size, size)) if sites(network) else {}
    if not known:
        return [
            ListedSite(name=path, path=path, position="after", place="module", stage=None, **shape._asdict())
            for path, shape in map_modules(network, (size, size)).items()
        ]
    return [
        ListedSite(
            name=site.name,
            path=site.path,
            position=site.position,
            place=site.where,
            stage=site.stage,
            **shape._asdict(),
        )
        for site, shape in known.items()
    ]
