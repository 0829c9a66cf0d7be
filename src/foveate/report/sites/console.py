"""The places of a network as a table for a terminal."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from foveate.records.sites import SiteList

__all__ = ["sites_table"]


def sites_table(listed: SiteList) -> Group:
    """Lay out the sites: place, stage, channels and map size, and the path that `at=` takes."""
    unknown = any(site.place == "module" for site in listed.sites)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("place", no_wrap=True)
    for head in ("stage", "channels", "map"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("where exactly", no_wrap=True)
    for site in listed.sites:
        table.add_row(
            site.place,
            "" if site.stage is None else str(site.stage),
            str(site.channels),
            f"{site.height}×{site.width}",
            Text(site.name),
            Text(f"{site.position} {site.path}"),
        )
    size = listed.image_size
    head = f"Where attention can go in {listed.backbone}, with the maps of an image of {size}×{size} pixels:"
    if unknown:
        head = (
            f"The blocks of {listed.backbone} are not known. These modules give maps, here of an image of "
            f"{size}×{size} pixels; name some with at=:"
        )
    return Group(Text(head), Text(), table)
