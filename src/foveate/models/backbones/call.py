"""The call that builds a backbone: a name and arguments, recorded in the network that it built."""

from dataclasses import dataclass

from timm.models import FeatureInfo
from torch import nn

from foveate.errors import RequestError
from foveate.models.backbones.arguments import Arguments
from foveate.models.backbones.head import last_layer, timm_outputs, width_of
from foveate.models.backbones.names import DETECTION, SEGMENTATION, TORCHVISION
from foveate.models.sites.forward_pass import input_channels

__all__ = ["BackboneCall", "call_of", "record_call"]


@dataclass(frozen=True)
class BackboneCall:
    """A name of timm's, or "torchvision/NAME", and the arguments of what builds it; `str` is the call.

    "detection/NAME" and "segmentation/NAME" are foveate's own networks, whose arguments name a backbone.
    """

    name: str
    args: Arguments  # values of JSON

    def __str__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.args.items())
        if self.name.startswith(TORCHVISION):
            return f"torchvision.models.get_model({self.name.removeprefix(TORCHVISION)!r}{arguments})"
        if self.name.startswith(DETECTION):
            return f"create_detector({self.name.removeprefix(DETECTION)!r}{arguments})"
        if self.name.startswith(SEGMENTATION):
            return f"create_segmenter({self.name.removeprefix(SEGMENTATION)!r}{arguments})"
        return f"timm.create_model({self.name!r}{arguments})"

    @property
    def outputs(self) -> int | None:
        """Return the number of classes, where the arguments give it; a detector's without the background."""
        dense = self.name.startswith((DETECTION, SEGMENTATION))
        outputs = self.args.get("classes" if dense else "num_classes")
        return outputs if type(outputs) is int else None


def record_call(model: nn.Module, call: BackboneCall) -> None:
    """Record in `model` the call that built it: a width or an image size cannot be read from the network."""
    model.built_from = call  # type: ignore[assignment]


def call_of(model: nn.Module, name: str, given: Arguments) -> BackboneCall:
    """Return the call that builds the backbone of `model`.

    Classes and channels are those of the network; of the rest, `given` comes before what was recorded.
    """
    if not isinstance(name, str):
        raise RequestError(f"backbone is {name!r}: expected a name of timm's, 'torchvision/NAME', or None")
    recorded = getattr(model, "built_from", None)
    known = recorded.args if recorded is not None and recorded.name == name else {}
    return BackboneCall(name, known | _arguments(model, name) | dict(given))


def _arguments(model: nn.Module, name: str) -> Arguments:
    if name.startswith((DETECTION, SEGMENTATION)):  # what was recorded is all that there is
        return {}
    channels = input_channels(model)
    if isinstance(features := getattr(model, "feature_info", None), FeatureInfo):  # timm's features_only
        return {"features_only": True, "out_indices": list(features.out_indices), "in_chans": channels}
    if name.startswith(TORCHVISION):
        last = last_layer(model)
        own: Arguments = {"in_chans": channels} if channels != 3 else {}
        if hasattr(model, "aux_classifier"):  # a segmenter
            own["aux_loss"] = model.aux_classifier is not None
        return {"num_classes": width_of(last[1]) if last else 1000} | own
    outputs = timm_outputs(model)
    classes = getattr(model, "num_classes", 1000) if outputs is None else outputs
    return {"num_classes": classes, "in_chans": channels}
