"""The hardware and the versions of the software that made a record."""

from foveate.records.base import Count, Number, Record, Text

__all__ = ["Environment"]


class Environment(Record):
    """Versions and hardware; `accelerator` is the name of a GPU, or the kind of the device.

    The last five are absent where one device trains a run. `learning_rate` is the highest of the recipe, for
    the `images_per_step` of all devices on all nodes together. `host` is the name of the machine, where a
    scheduler chose it.
    """

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
    host: Text | None = None
    devices: Count | None = None
    nodes: Count | None = None
    images_per_device: Count | None = None
    images_per_step: Count | None = None
    learning_rate: Number | None = None

    @property
    def kind(self) -> str:
        """The kind of machine: rounding differs between kinds."""
        named = (self.processor, self.accelerator)
        return ", ".join(one for one in named if one and one != "cpu")

    @property
    def processes(self) -> int:
        """The number of devices that train one run together, on all nodes."""
        return (self.devices or 1) * (self.nodes or 1)
