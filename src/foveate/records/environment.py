"""The hardware and the versions of the software that made a record."""

from foveate.records.base import Count, Record, Text

__all__ = ["Environment"]


class Environment(Record):
    """Versions and hardware; `accelerator` is the name of a GPU, or the kind of the device."""

    foveate: Text = ""
    python: Text = ""
    torch: Text = ""
    torchvision: Text = ""
    timm: Text = ""
    lightning: Text = ""
    platform: Text = ""
    processor: Text = ""
    cores: Count = 0
    threads: Count = 0
    accelerator: Text = ""
