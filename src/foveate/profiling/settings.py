"""What `foveate profile` is asked for, checked before anything is built."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import timm
import torch

from foveate.errors import RequestError, unknown_name
from foveate.evaluation.step import Mode
from foveate.kernels import PATHS
from foveate.models.backbones.create import check_backbone, own_image_size
from foveate.models.backbones.torchvision import TORCHVISION
from foveate.records.labels import BASELINE
from foveate.records.profile import ProfileSettings
from foveate.studies.engine.environment import available_cores, check_threads
from foveate.studies.engine.run import Machine
from foveate.studies.spec.candidate import Candidate, parse_candidates
from foveate.training.fit import lightning_device

__all__ = ["ProfileSpec", "make_profile"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class ProfileSpec:
    """Which networks, in which form, and how they are measured; the first candidate is plain."""

    backbone: str
    attention: tuple[Candidate, ...]
    image_size: int
    channels: int
    classes: int
    batch_size: int
    device: torch.device
    dtype: str
    memory_format: str
    mode: Mode
    compile: bool
    graph: bool
    path: str
    threads: int
    detail: bool
    seconds: float

    @property
    def torch_dtype(self) -> torch.dtype:
        """Of weights, buffers and images."""
        return DTYPES[self.dtype]

    @property
    def torch_memory_format(self) -> torch.memory_format:
        """Of weights and images."""
        return MEMORY_FORMATS[self.memory_format]

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(B, C, H, W)."""
        return self.batch_size, self.channels, self.image_size, self.image_size

    def as_record(self) -> ProfileSettings:
        """Return the settings as the record holds them."""
        labels = tuple(candidate.label for candidate in self.attention)
        return ProfileSettings(**vars(self) | {"attention": labels, "device": str(self.device)})


def make_profile(settings: Mapping[str, Any]) -> ProfileSpec:
    """Read the command line's settings; `image_size` and `threads` may be None.

    Plain comes first, asked for or not, for all ratios are to it. An image's size is the backbone's own if it
    is not given, threads those that OMP_NUM_THREADS says or else one a core.

    Raises:
        RequestError: an unknown name (the nearest is named), or settings that do not go together.
    """
    given = dict(settings)
    backbone = given["backbone"]
    check_backbone(backbone)
    for key, flag, choices in (
        ("dtype", "dtype", DTYPES),
        ("memory_format", "memory format", MEMORY_FORMATS),
        ("mode", "mode", get_args(Mode)),
        ("path", "path", PATHS),
    ):
        if given[key] not in choices:
            raise RequestError(unknown_name(flag, given[key], choices))
    candidates = parse_candidates(given["attention"])
    plain = Candidate(name=BASELINE)
    given["attention"] = (plain, *(candidate for candidate in candidates if candidate != plain))
    lightning_device(given["device"])
    given["device"] = Machine(given["device"]).torch_device
    if given["graph"] and given["device"].type != "cuda":
        raise RequestError(
            f"--graph captures CUDA graphs, and the device is {given['device']}: leave out --graph"
        )
    if given["mode"] == "training" and (given["graph"] or given["detail"]):
        flag = "--graph" if given["graph"] else "--detail"
        raise RequestError(f"{flag} looks at inference alone: leave out {flag}, or --mode training")
    config = None if backbone.startswith(TORCHVISION) else timm.get_pretrained_cfg(backbone)
    given["image_size"] = given["image_size"] or own_image_size(backbone)
    given["threads"] = given["threads"] or _threads()
    check_threads("--threads", given["threads"])
    channels = config.input_size[0] if config else 3
    return ProfileSpec(**given, channels=channels, classes=(config and config.num_classes) or 1000)


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else available_cores()
