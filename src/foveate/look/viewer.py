"""What the page shows, without the page: predictions, heat maps and own maps of a study's networks."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foveate.data.greys import GreyRange
from foveate.errors import RequestError
from foveate.evaluation.cam import METHODS, cam_maps
from foveate.inspection.trained import Trained
from foveate.look.pictures import Picture
from foveate.models.sites.capture import attention_modules, capture
from foveate.models.sites.find import sites
from foveate.models.sites.target_layers import default_layer
from foveate.records.labels import BASELINE

__all__ = ["OwnMap", "View", "Viewer"]

ANSWERS = 3


@dataclass(frozen=True)
class OwnMap:
    """What a mechanism showed of itself, of one image.

    `values` is (H, W) of a map (the mean over its channels, where it has several), (C,) of weights by
    channel, or () of a single number.
    """

    site: str
    name: str
    values: np.ndarray


@dataclass(frozen=True)
class View:
    """How one network sees a picture.

    Attributes:
        label: its mechanism.
        answers: its likeliest classes with their probabilities, the first first.
        layer: the path of the module whose maps the heat map is made of.
        heat: float32 (H, W) in 0..1; None where it cannot be made.
        own: what its mechanism shows of itself in the block at that layer.
        fault: why there is no heat map; "" where there is one.
    """

    label: str
    answers: list[tuple[str, float]]
    layer: str
    heat: np.ndarray | None
    own: list[OwnMap]
    fault: str = ""


class Viewer:
    """The networks of a study by seed, built when they are first asked for.

    One thread at a time looks: networks get hooks while they do.
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
        """The seeds to choose from; "–" stands for networks that were trained elsewhere."""
        return list(dict.fromkeys(_seed(one) for one in self.trained))

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of what the networks take."""
        return self.trained[0].input_size

    @property
    def greys(self) -> GreyRange | None:
        """The range of greys of more than 8 bits that the networks were trained with, where a run says it."""
        return next((one.greys for one in self.trained if one.greys), None)

    def look(self, picture: Picture, seed: str, layer: int, method: str = "gradcam++") -> list[View]:
        """How each network of `seed` sees `picture`, its heat map made at the `layer`-th of `layers`.

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
        # A network of another depth has its layer at about the same height.
        path = own_layers[round(layer * (len(own_layers) - 1) / max(len(self.layers) - 1, 1))]
        heat, fault = None, ""
        try:
            maps, _ = cam_maps(network, path, images, method)
            heat = maps[0].numpy()
        except RequestError as error:
            fault = str(error)
        logits, own = _captured(network, images, path)
        likeliest = logits[0].softmax(0).topk(min(ANSWERS, logits.shape[1]))
        answers = [
            (trained.classes[int(place)], float(value))
            for value, place in zip(likeliest.values, likeliest.indices, strict=True)
        ]
        return View(trained.label, answers, path, heat, own, fault)

    def _network(self, trained: Trained) -> nn.Module:
        if trained.name not in self._networks:
            self._networks[trained.name] = trained.network(self.device)
        return self._networks[trained.name]


def _seed(trained: Trained) -> str:
    return "–" if trained.seed is None else str(trained.seed)


def _layers(network: nn.Module) -> list[str]:
    """The ends of the blocks, in the order in which they run, and the layer that is usual."""
    found = [site.name for site in sites(network, "block")]
    usual = default_layer(network)
    return found if usual in found else [*found, usual]


@torch.inference_mode()
def _captured(network: nn.Module, images: Tensor, layer: str) -> tuple[Tensor, list[OwnMap]]:
    """Logits (1, K), and the maps of the attention in or at `layer`."""
    if not attention_modules(network):
        return network(images).float().cpu(), []
    with capture(network) as maps:
        logits = network(images).float().cpu()
    near: dict[str, Any] = {
        site: shown for site, shown in maps.items() if site == layer or site.startswith(f"{layer}.")
    }
    return logits, [
        OwnMap(site, name, _one_image(value)) for site, shown in near.items() for name, value in shown.items()
    ]


def _one_image(value: Tensor) -> np.ndarray:
    """(1, C, H, W) as (H, W), (1, C, 1, 1) as (C,), a number as ()."""
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
