"""Compute what the page shows for each network of a study: predictions, heat maps, maps of attention."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from foveate.attention.explanations import explain_intermediate
from foveate.data.greys import GreyRange
from foveate.errors import RequestError
from foveate.evaluation.cam import cam_maps
from foveate.evaluation.cam_methods import METHODS
from foveate.inspection.trained import Trained
from foveate.look.pictures import Picture
from foveate.models.sites.capture import attention_modules, capture
from foveate.models.sites.find import sites
from foveate.models.sites.target_layers import default_layer
from foveate.records.labels import BASELINE

__all__ = ["OwnMap", "View", "Viewer"]

ANSWERS = 3
"""Number of classes that are shown."""


@dataclass(frozen=True)
class OwnMap:
    """An intermediate that a mechanism recorded for one image.

    Attributes:
        site: the path of the attention.
        name: under which it was recorded.
        values: (H, W) for a map (the mean over its channels), (C,) for the weights of channels, or () for a
            single number.
        meaning: what it is, in a sentence.
    """

    site: str
    name: str
    values: np.ndarray
    meaning: str = ""


@dataclass(frozen=True)
class View:
    """One network's answers and maps for a picture.

    Attributes:
        label: its mechanism.
        answers: the most probable classes with their probabilities, in descending order.
        layer: the path of the module that the heat map is made from.
        heat: float32 (H, W) in 0..1; None where it cannot be made.
        own: the intermediates of its mechanism in the block at that layer.
        fault: why there is no heat map; "" where there is one.
    """

    label: str
    answers: list[tuple[str, float]]
    layer: str
    heat: np.ndarray | None
    own: list[OwnMap]
    fault: str = ""


class Viewer:
    """The networks of a study by seed, each built when it is first needed.

    A lock lets one thread at a time use them, because it installs hooks in them.
    """

    def __init__(self, trained: Sequence[Trained], device: torch.device) -> None:
        if not trained:
            raise RequestError("there is no trained network to look at")
        self.trained = sorted(trained, key=lambda one: one.label != BASELINE)
        self.device = device
        self._networks: dict[str, nn.Module] = {}
        self._lock = threading.Lock()
        first = self._network(self.trained[0])
        self.layers = _layers(first)
        self.default = self.layers.index(default_layer(first))

    @property
    def seeds(self) -> list[str]:
        """The seeds to choose from; "–" for networks that were trained elsewhere."""
        return list(dict.fromkeys(_seed(one) for one in self.trained))

    @property
    def input_size(self) -> tuple[int, int, int]:
        """The images that the networks take, (C, H, W)."""
        return self.trained[0].input_size

    @property
    def greys(self) -> GreyRange | None:
        """The range of greys of more than 8 bits that the networks were trained with, if it is recorded."""
        return next((one.greys for one in self.trained if one.greys), None)

    def look(self, picture: Picture, seed: str, layer: int, method: str = "gradcam++") -> list[View]:
        """Return the view of each network of `seed` on `picture`, with heat maps at the `layer`-th layer.

        Raises:
            RequestError: no such seed, layer or method.
        """
        chosen = [one for one in self.trained if _seed(one) == seed]
        if not chosen:
            raise RequestError(f"there is no seed {seed!r}: choose among {', '.join(self.seeds)}")
        if not 0 <= layer < len(self.layers):
            raise RequestError(f"there is no layer {layer + 1}: choose from 1 to {len(self.layers)}")
        if method not in METHODS:
            raise RequestError(f"there is no method {method!r}: choose among {', '.join(METHODS)}")
        with self._lock:
            return [self._view(one, picture, layer, method) for one in chosen]

    def _view(self, trained: Trained, picture: Picture, layer: int, method: str) -> View:
        network = self._network(trained)
        images = trained.normalise(picture.pixels[None].to(self.device).float() / 255)
        own_layers = _layers(network)
        # In a network of another depth: the layer at about the same relative depth.
        path = own_layers[round(layer * (len(own_layers) - 1) / max(len(self.layers) - 1, 1))]
        heat, fault = None, ""
        try:
            maps, _ = cam_maps(network, path, images, method)
            heat = maps[0].numpy()
        except RequestError as error:
            fault = str(error)
        logits, own = _captured(network, images, path)
        top = logits[0].softmax(0).topk(min(ANSWERS, logits.shape[1]))
        answers = [
            (trained.classes[int(place)], float(value))
            for value, place in zip(top.values, top.indices, strict=True)
        ]
        return View(trained.label, answers, path, heat, own, fault)

    def _network(self, trained: Trained) -> nn.Module:
        if trained.name not in self._networks:
            self._networks[trained.name] = trained.network(self.device)
        return self._networks[trained.name]


def _seed(trained: Trained) -> str:
    return "–" if trained.seed is None else str(trained.seed)


def _layers(network: nn.Module) -> list[str]:
    """Return the ends of the blocks, in the order in which they run, and the default layer."""
    found = [site.name for site in sites(network, "block")]
    default = default_layer(network)
    return found if default in found else [*found, default]


@torch.inference_mode()
def _captured(network: nn.Module, images: Tensor, layer: str) -> tuple[Tensor, list[OwnMap]]:
    """Return logits (1, K), and the intermediates of the attention in or at `layer`."""
    modules = attention_modules(network)
    if not modules:
        return network(images).float().cpu(), []
    with capture(network) as maps:
        logits = network(images).float().cpu()
    return logits, [
        OwnMap(site, name, _one_image(value), explain_intermediate(modules[site], name))
        for site, found in maps.items()
        if site == layer or site.startswith(f"{layer}.")
        for name, value in found.items()
    ]


def _one_image(value: Tensor) -> np.ndarray:
    """Return a map (1, C, H, W) as (H, W), weights (1, C, 1, 1) as (C,), and a number as ()."""
    value = value.float().cpu()
    if value.ndim == 4 and value.shape[2:] == (1, 1) and value.shape[1] > 1:
        value = value[0, :, 0, 0]
    elif value.ndim == 4:
        value = value[0].mean(0)
    elif value.ndim == 2:
        value = value[0]
    elif value.numel() == 1:
        value = value.reshape(())
    return value.numpy()
