"""The networks of a profile: count their work, build them and prepare their steps.

Work is counted on the meta device, and that of detectors on the CPU: they choose boxes by their values.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from foveate.errors import RequestError, WorkError, first_line
from foveate.evaluation.compiling import compile_whole
from foveate.evaluation.cost import count_parameters
from foveate.evaluation.element_wise import Work, count_work
from foveate.evaluation.memory import count_held_bytes, measure_step_peak
from foveate.evaluation.proposals import propose_most
from foveate.evaluation.step import detection_step, inference_step, training_step
from foveate.kernels import only_reference
from foveate.models.sites.attach import attached
from foveate.models.sites.kernel_paths import kernel_paths, set_path
from foveate.profiling.spec import ProfileSpec
from foveate.records.labels import display_name
from foveate.studies.engine.network import build_network
from foveate.studies.spec.candidate import Candidate

__all__ = ["Counted", "Ready", "count_candidate", "fill_zero_scales", "make_ready", "refusals"]

SCALE_FOR_ZERO = 0.5
"""Replaces the scales of norms that timm initialises to 0, because maps of zeros are not a fair load."""


@dataclass(frozen=True)
class Counted:
    """The counts of a network; `site_bytes` are the bytes of the maps at its sites."""

    sites: int
    site_bytes: int
    parameters: int
    work: Work


@dataclass(frozen=True)
class Ready:
    """A network on its device, and its step; `runs` is the network itself or its compiled form."""

    network: nn.Module
    runs: Callable[..., Any]
    images: torch.Tensor
    step: Callable[[], object]
    optimizer: torch.optim.Optimizer | None

    def count_kernel_paths(self) -> dict[str, int]:
        """Return the number of sites on each kernel path in a step."""
        with torch.inference_mode(self.optimizer is None):
            return dict(Counter(site.path for site in kernel_paths(self.network)))

    def measure_memory(self) -> tuple[int, int | None]:
        """Return the bytes that are held between steps, and the peak of a step on top of them."""
        self.step()  # libraries choose their algorithms, the optimizer creates its state
        if self.optimizer is not None:
            self.optimizer.zero_grad(set_to_none=True)
        held = count_held_bytes(self.network, self.images, self.optimizer)
        return held, measure_step_peak(self.step, self.images.device)


def count_candidate(spec: ProfileSpec, candidate: Candidate) -> Counted:
    """Count one step of a candidate on the reference path, on the meta device or, for a detector, the CPU.

    Raises:
        RequestError: the mechanism refuses its options or its site, or the network refuses the images.
    """
    with torch.device("cpu" if spec.is_detector else "meta"), only_reference():
        network = _build(spec, candidate)
        images = torch.zeros(spec.input_shape, dtype=spec.torch_dtype)
        images = images.to(memory_format=spec.torch_memory_format)
        seen: list[int] = []
        hooks = [
            module.register_forward_pre_hook(lambda _, args: seen.append(args[0].nbytes))
            for module in attached(network).values()
        ]
        step, _ = _step(spec, network, network, images, foreach=False)
        try:
            if spec.mode == "inference":
                with torch.no_grad():
                    work = count_work(lambda: network(images))
            else:
                step()  # the optimizer creates its state
                work = count_work(step)
        except Exception as error:  # networks raise errors of any type
            raise RequestError(
                f"{display_name(candidate.label)} on {spec.network_name} cannot take "
                f"{spec.batch_size} × {spec.channels} × {spec.image_size} × {spec.image_size} "
                f"in {spec.mode} ({first_line(error)}): give another "
                f"--image-size{' or --batch-size' if spec.mode == 'training' else ''}"
            ) from error
        for hook in hooks:
            hook.remove()
        return Counted(len(hooks), sum(seen[-len(hooks) :] if hooks else []), count_parameters(network), work)


def make_ready(spec: ProfileSpec, candidate: Candidate, backend: str = "inductor") -> Ready:
    """Build a candidate on the device of `spec`; all candidates have the same weights of the backbone.

    `backend` is the backend of torch.compile, if `spec` asks for it.
    """
    network = _build(spec, candidate).to(spec.device)
    if attached(network):
        set_path(network, spec.path)
    images = torch.randn(spec.input_shape, generator=torch.Generator().manual_seed(0))
    images = images.to(spec.device, spec.torch_dtype).to(memory_format=spec.torch_memory_format)
    runs = compile_whole(network, backend) if spec.compile else network
    step, optimizer = _step(spec, network, runs, images)
    return Ready(network, runs, images, step, optimizer)


def fill_zero_scales(network: nn.Module) -> None:
    """Set scales that are all 0 to SCALE_FOR_ZERO; timm initialises the last norm of a block so."""
    for module in network.modules():
        scale = getattr(module, "weight", None)
        if isinstance(scale, nn.Parameter) and scale.dim() == 1 and not scale.is_meta and not scale.any():
            nn.init.constant_(scale, SCALE_FOR_ZERO)


def _build(spec: ProfileSpec, candidate: Candidate) -> nn.Module:
    network = build_network(
        spec.backbone,
        candidate,
        classes=spec.classes,
        channels=spec.channels,
        replace_own=spec.replace_own,
        image_size=spec.image_size if spec.is_detector else None,
        dense=spec.dense,
    )
    propose_most(network)
    fill_zero_scales(network)
    network.train(spec.mode == "training")
    return network.to(spec.torch_dtype).to(memory_format=spec.torch_memory_format)


def _step(
    spec: ProfileSpec,
    network: nn.Module,
    runs: Callable[..., Any],
    images: torch.Tensor,
    *,
    foreach: bool | None = None,
) -> tuple[Callable[[], object], torch.optim.Optimizer | None]:
    if spec.mode == "inference":
        return inference_step(runs, images), None
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate = 1e-6 if spec.is_detector else 1e-3  # made-up boxes teach nothing, and a loss must not overflow
    optimizer = torch.optim.SGD(learned, lr=rate, momentum=0.9, foreach=foreach)
    if spec.is_detector:
        return detection_step(runs, images, _made_up_boxes(spec, images.device), optimizer), optimizer
    labels = torch.arange(spec.batch_size, device=images.device) % spec.classes
    if spec.dense is not None:  # a class for each pixel
        labels = labels[:, None, None].expand(-1, spec.image_size, spec.image_size).contiguous()
    return training_step(runs, images, labels, optimizer), optimizer


def _made_up_boxes(spec: ProfileSpec, device: torch.device) -> list[dict[str, torch.Tensor]]:
    """Return the same four boxes of a quarter of the side for each image, as torchvision's detectors take."""
    corners = torch.tensor([[0.1, 0.1], [0.6, 0.1], [0.1, 0.6], [0.6, 0.6]], device=device)
    boxes = torch.cat([corners, corners + 0.25], dim=1) * spec.image_size
    labels = torch.arange(len(boxes), device=device) % spec.classes + 1  # 0 is the background
    return [{"boxes": boxes.to(spec.torch_dtype), "labels": labels}] * spec.batch_size


@contextmanager
def refusals(spec: ProfileSpec, label: str) -> Iterator[None]:
    """Turn errors of torch while networks are built and run into errors that say what to do."""
    try:
        yield
    except (RequestError, WorkError):
        raise
    except torch.OutOfMemoryError as error:
        raise WorkError(_out_of_memory(spec)) from error
    except Exception as error:
        said = first_line(error)
        if "allocate memory" in said or isinstance(error, MemoryError):
            raise WorkError(_out_of_memory(spec)) from error
        if "not implemented for" in said or isinstance(error, NotImplementedError):
            raise RequestError(
                f"{label} cannot run in {spec.dtype} on {spec.device} ({said}): give another --dtype"
            ) from error
        doing = "compile" if spec.compile else "run"
        raise WorkError(f"cannot {doing} {label} on {spec.device}: {type(error).__name__}: {said}") from error


def _out_of_memory(spec: ProfileSpec) -> str:
    return (
        f"out of memory on {spec.device} at a batch size of {spec.batch_size}: lower --batch-size, or "
        "profile fewer mechanisms at a time (all networks are held side by side)"
    )
