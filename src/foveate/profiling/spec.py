"""The spec of a profile: its settings, validated before any network is built."""

import os
from dataclasses import asdict, dataclass

import timm
import torch

from foveate.errors import RequestError
from foveate.evaluation.step import Mode
from foveate.models.backbones.create import own_image_size
from foveate.models.backbones.names import TORCHVISION
from foveate.models.dense.names import DETECTORS
from foveate.profiling.settings import ProfileSettings
from foveate.records.labels import BASELINE
from foveate.records.profile import ProfileSettingsRecord
from foveate.studies.engine.environment import available_cores, check_threads
from foveate.studies.engine.fitting import Machine
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.dense import DenseNetwork

__all__ = ["CALIBRATION_IMAGES", "ProfileSpec", "make_profile"]

USUAL_CLASSES = {True: 80, False: 19}
"""The classes of detectors, those of COCO, and of segmenters, those of Cityscapes."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CALIBRATION_IMAGES = 8
"""Images of random numbers for the ranges of int8: weights are random, too, and the cost does not change."""
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class ProfileSpec:
    """Which networks are profiled, and how they are measured; the first candidate is the baseline."""

    backbone: str
    dense: DenseNetwork | None
    attention: tuple[Candidate, ...]
    replace_own: bool
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
    energy: bool
    seconds: float
    runtime: tuple[str, ...]
    precision: tuple[str, ...]
    quantise_gates: bool

    @property
    def is_detector(self) -> bool:
        """Whether detectors are profiled: they take a list of images, and in training boxes."""
        return self.dense is not None and self.dense.name in DETECTORS

    @property
    def network_name(self) -> str:
        """What attention is added to, as messages say it: `unet over resnet50`."""
        return self.backbone if self.dense is None else f"{self.dense.label} over {self.backbone}"

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions of the files that other runtimes run; none without such a runtime."""
        return ("fp32", *dict.fromkeys(self.precision)) if self.runtime else ()

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of weights, buffers and images."""
        return DTYPES[self.dtype]

    @property
    def torch_memory_format(self) -> torch.memory_format:
        """The memory format of weights and images."""
        return MEMORY_FORMATS[self.memory_format]

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """The shape of a batch of images, (B, C, H, W)."""
        return self.batch_size, self.channels, self.image_size, self.image_size

    def as_record(self) -> ProfileSettingsRecord:
        """Return the settings as the record holds them."""
        labels = tuple(candidate.label for candidate in self.attention)
        settings = vars(self) | {"attention": labels, "device": str(self.device)}
        if self.dense is None:  # nor that
            del settings["dense"]
        else:
            settings["dense"] = self.dense.to_record()
        for name in ("replace_own", "energy"):  # earlier records do not have these
            if not settings[name]:
                del settings[name]
        if not self.runtime:
            for name in ("runtime", "precision", "quantise_gates"):
                del settings[name]
        else:
            settings["precision"] = self.precisions
            if "int8" in self.precision:
                settings["calibrated_with"] = f"{CALIBRATION_IMAGES} images of random numbers"
        return ProfileSettingsRecord(**settings)


def make_profile(settings: ProfileSettings) -> ProfileSpec:
    """Validate `settings` and complete them from the backbone and the machine.

    The baseline always comes first, because all ratios are to it.

    Raises:
        RequestError: an unknown name (the nearest is named), or settings that exclude each other.
    """
    settings.check()
    candidates, dense = settings.candidates(), settings.dense()
    baseline = Candidate(name=BASELINE)
    device = Machine("cpu" if settings.runtime else settings.device).torch_device
    if settings.graph and device.type != "cuda":
        raise RequestError(f"--graph captures CUDA graphs, and the device is {device}: leave out --graph")
    is_torchvision = settings.backbone.startswith(TORCHVISION)
    config = None if is_torchvision else timm.get_pretrained_cfg(settings.backbone)
    threads = settings.threads or (1 if settings.runtime else _threads())
    check_threads("--threads", threads)
    given = {key: value for key, value in asdict(settings).items() if key not in ("detector", "segmenter")}
    usual_classes = (
        USUAL_CLASSES[dense.name in DETECTORS] if dense else (config and config.num_classes) or 1000
    )
    return ProfileSpec(
        **given
        | {
            "dense": dense,
            "attention": (baseline, *(candidate for candidate in candidates if candidate != baseline)),
            "device": device,
            "image_size": settings.image_size or own_image_size(settings.backbone),
            "channels": config.input_size[0] if config else 3,
            "classes": usual_classes,
            "threads": threads,
        }
    )


def _threads() -> int:
    """Return OMP_NUM_THREADS, or else the number of available cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else available_cores()
