"""Class activation maps of a network by the grad-cam package, in batches.

Selvaraju et al., "Grad-CAM", ICCV 2017, arXiv:1610.02391; Chattopadhay et al., "Grad-CAM++", WACV 2018,
arXiv:1710.11063; Draelos and Carin, "Use HiResCAM instead of Grad-CAM", 2020, arXiv:2011.08891; Muhammad and
Yeasin, "Eigen-CAM", IJCNN 2020, arXiv:2008.00299.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foveate.errors import RequestError, unknown_name
from foveate.evaluation.cam_methods import METHODS, check_method
from foveate.evaluation.feature_maps import feature_map
from foveate.modes import evaluating

__all__ = ["Score", "cam_maps", "evidence_maps"]

Score = Callable[[Any], Tensor]
"""Returns the scalar, with its gradient, that a map explains, from what a network gives for an image."""


def cam_maps(
    network: nn.Module,
    layer: str,
    images: Tensor,
    method: str = "gradcam++",
    targets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return maps (B, H, W) of the evidence for a class in `images` (B, C, H, W), and the logits (B, K).

    `images` are normalised. `layer` is the path of the module whose feature maps are weighted. `targets` (B,)
    are the classes; None takes the class with the highest logit. Each map runs from 0 to 1 at the size of the
    images; a map of equal values, as without any evidence for the class, is 0. Both results are float32 on
    the CPU. The network runs in float32, autocast or not, and must be passed without the wrappers of
    torch.compile and of parallel training.

    See `evidence_maps` for what happens to the network, and for the errors.
    """

    def score(number: int) -> Score:
        return lambda logits: logits[logits.argmax() if targets is None else int(targets[number])]

    maps, logits = evidence_maps(network, layer, images, [score(k) for k in range(len(images))], method)
    return maps, logits.detach().float().cpu()


def evidence_maps(
    network: nn.Module,
    layer: str,
    images: Tensor,
    scores: Sequence[Score],
    method: str,
    run: nn.Module | None = None,
) -> tuple[Tensor, Any]:
    """Return maps (B, H, W) of the evidence in `images` (B, C, H, W) for a score of each, and the outputs.

    `scores` takes what the network gives for each image. `run` is a module around `network` that is run in
    its place. Maps are scaled as those of `cam_maps`. "eigencam" needs no score: it is the first principal
    component of the feature maps over the positions, whatever the network answers. The sign of a component is
    arbitrary: the side with the largest absolute value is positive (Chung and Ying 2025, "Seg-Eigen-CAM",
    eq. 13).

    The network runs in eval mode. Its modes, hooks and gradients are restored when the function returns or
    raises. Only the part behind the layer is differentiated. Two threads must not use one network at once.

    Raises RequestError for an unknown method or layer, a layer without maps (see `feature_map`), one that
    does not run exactly once, or that the output does not depend on, a network of another dtype, and where
    the package is not installed.
    """
    library = _library(check_method(method))
    modules = dict(network.named_modules())
    if layer not in modules:
        raise RequestError(unknown_name(f"layer of {type(network).__name__}", layer, filter(None, modules)))
    size = (images.shape[2], images.shape[3])
    runs = 0

    def begin(module: nn.Module, args: Any, output: Any) -> Tensor:
        nonlocal runs
        runs += 1
        given = feature_map(network, layer, output, size)  # raises where the output is no map
        if given.dtype != torch.float32:
            raise RequestError(
                f"layer {layer!r} of {type(network).__name__} gives {_dtype_name(given.dtype)}; maps need "
                "float32: pass network.float()"
            )
        torch.set_grad_enabled(True)
        # The graph begins here. It is a copy, because some networks change the output in place.
        return output.detach().requires_grad_().clone()

    def as_map(output: Tensor) -> Tensor:
        return feature_map(network, layer, output, size).clone()

    def checked(score: Score) -> Score:
        def of(output: Any) -> Tensor:
            value = score(output)
            if not value.requires_grad:
                raise RequestError(
                    f"the output of {type(network).__name__} does not depend on layer {layer!r}, or the "
                    "layer does not run: name another"
                )
            return value

        return of

    # The package cannot convert the half-precision results of autocast to numpy.
    whole = torch.autocast(images.device.type, enabled=False)
    run = network if run is None else run
    with _restored(run), whole, torch.inference_mode(False), torch.no_grad():
        beginning = modules[layer].register_forward_hook(begin)
        cam = None
        try:
            cam = library(run, [modules[layer]], reshape_transform=as_map)
            maps = cam(images.detach(), [checked(score) for score in scores])
            if runs > 1:
                raise RequestError(
                    f"layer {layer!r} of {type(network).__name__} runs {runs} times in a forward pass: name "
                    "one that runs once"
                )
            outputs = cam.outputs
        finally:
            beginning.remove()
            if cam is not None:
                cam.activations_and_grads.release()
    # Below 1 for little evidence: the package adds 1e-7 to what it divides by.
    highest = maps.max(axis=(1, 2), keepdims=True)
    return torch.from_numpy(np.divide(maps, highest, out=maps, where=highest > 0)), outputs


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _library(method: str) -> Any:
    try:
        import pytorch_grad_cam
    except ImportError as error:
        raise RequestError(
            f"{method} needs the package grad-cam: pip install 'foveate[explain]' ({error})"
        ) from error
    library = getattr(pytorch_grad_cam, METHODS[method])
    return _with_sign(library) if method == "eigencam" else library


def _with_sign(eigen_cam: Any) -> Any:
    """Return the package's Eigen-CAM with a sign that the maps decide, and not the decomposition."""

    class WithSign(eigen_cam):
        def get_cam_image(self, *args: Any) -> np.ndarray:
            found: np.ndarray = super().get_cam_image(*args)
            low, high = found.min(axis=(1, 2), keepdims=True), found.max(axis=(1, 2), keepdims=True)
            return np.where(-low > high, -found, found)

    return WithSign


@contextmanager
def _restored(network: nn.Module) -> Iterator[None]:
    """Restore modes, gradients and what requires them after the package has changed them."""
    parameters = [(one, one.requires_grad, one.grad) for one in network.parameters()]
    try:
        for parameter, _, _ in parameters:
            parameter.requires_grad = False
            parameter.grad = None
        with evaluating(network):
            yield
    finally:
        for parameter, required, gradient in parameters:
            parameter.requires_grad = required
            parameter.grad = gradient
