"""What an exported file carries beside the network: for whoever runs it without foveate."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from torch import nn

from foveate.models.backbones.preprocessing import Preprocessing
from foveate.models.sites.forward_pass import timm_config
from foveate.version import __version__

__all__ = ["Metadata", "metadata_of", "network_name"]

PREPARED_BY = ("mean", "std", "crop_pct", "crop_mode", "interpolation")


@dataclass(frozen=True)
class Metadata:
    """The version of foveate, and what the network declares of itself; None where it does not."""

    foveate: str
    network: str
    classes: list[str] | None
    preprocessing: Preprocessing | None
    outputs: list[str]  # the names of the tensors that it returns, in their order
    precision: str | None = None  # "fp16" or "int8"; None is float32

    def to_json(self) -> dict[str, object]:
        """Return the keys of the file, for what is known, with values of JSON."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def metadata_of(network: nn.Module, shape: tuple[int, int, int], outputs: Sequence[str]) -> Metadata:
    """Return what `network`, exported for images of `shape` (C, H, W), declares, and its `outputs`."""
    config = timm_config(network)
    known = {key: config[key] for key in PREPARED_BY if config.get(key) is not None}
    names = config.get("label_names")
    return Metadata(
        foveate=__version__,
        network=network_name(network),
        classes=list(names) if names else None,
        preprocessing=Preprocessing(input_size=shape, **known) if known else None,  # type: ignore[typeddict-item]
        outputs=list(outputs),
    )


def network_name(model: nn.Module) -> str:
    """Return the name by which timm knows `model`, or else that of its class."""
    return str(timm_config(model).get("architecture") or type(model).__name__)
