"""The settings of `foveate profile`."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.models.backbones.names import check_backbone
from foveate.models.dense.names import DETECTORS, SEGMENTERS
from foveate.models.export.formats import PRECISIONS, RUNTIMES
from foveate.studies.engine.environment import check_threads
from foveate.studies.spec import completers
from foveate.studies.spec.completers import one_of, several_of
from foveate.studies.spec.flag_groups import DEPLOYMENT, MACHINE, MEASUREMENT, NETWORK, STEP
from foveate.training.machine import lightning_device

if TYPE_CHECKING:
    from foveate.studies.spec.candidate import Candidate
    from foveate.studies.spec.dense import DenseNetwork

__all__ = ["CHOICES", "ProfileSettings"]

CHOICES = {
    "dtype": ("float32", "bfloat16", "float16"),
    "memory_format": ("contiguous", "channels_last"),
    "mode": ("inference", "training"),
    "path": ("auto", "reference", "rearranged", "numba", "triton"),
}
"""The values of the settings that are words; spec.py, evaluation and kernels give them their meaning."""
REDUCED_PRECISIONS = PRECISIONS[1:]
ONLY_WITH_RUNTIME = {"mode": "inference", "dtype": "float32", "compile": False, "graph": False}
"""The settings that torch must have where another runtime runs the same networks beside it."""


@dataclass(frozen=True, kw_only=True)
class ProfileSettings:
    """Which networks are profiled, and how they are measured.

    Attributes:
        backbone: Network that attention is added to: a timm name such as resnet50, or torchvision/NAME.
        detector: Detector over the backbone, with its options: fasterrcnn, fcos or retinanet; by default the
            backbone is profiled as a classifier.
        segmenter: Segmenter over the backbone, with its options: deeplabv3, deeplabv3plus, fpn or unet; by
            default the backbone is profiled as a classifier.
        attention: Attention mechanisms to profile, separated by commas: se,'dmsca(reduction=8)'.
        replace_own: Put mechanisms in the place of the attention that the backbone has of its own, and
            compare with the backbone without it; by default they are added on top of it.
        image_size: Side of the images in pixels; by default the backbone's own.
        batch_size: Images per step.
        device: Device to measure on: auto, cpu, cuda, cuda:N or mps.
        dtype: Floating-point type of weights and images: float32, bfloat16 or float16.
        memory_format: Memory layout of weights and images: contiguous or channels_last.
        mode: What a step is: inference, or training (forward, backward and optimiser step).
        compile: Compile the networks with torch.compile.
        graph: Capture each step as a CUDA graph, which excludes the time of kernel launches.
        path: Kernel path of the mechanisms: auto, reference, rearranged, numba or triton.
        threads: Number of CPU threads; by default OMP_NUM_THREADS or the available cores, and one with
            --runtime.
        detail: Also time the parts of each mechanism.
        energy: Also count the energy of each network, where the machine tells: RAPL on a CPU, NVML
            on a GPU.
        runtime: Runtimes that also run each network, exported in float32, in turns with torch, separated by
            commas: onnxruntime, openvino.
        precision: Precisions in which they also run each network, separated by commas: fp16, int8.
        quantise_gates: Quantise attention in int8, too; by default it stays in float32.
        seconds: Seconds to measure for, at least 11 rounds; with --energy, as long again for that.
    """

    backbone: Annotated[str, Parameter(group=NETWORK, completer=completers.backbone_names)]
    attention: Annotated[str, Parameter(group=NETWORK, completer=completers.mechanisms)]
    detector: Annotated[str | None, Parameter(group=NETWORK, completer=one_of(DETECTORS))] = None
    segmenter: Annotated[str | None, Parameter(group=NETWORK, completer=one_of(SEGMENTERS))] = None
    replace_own: Annotated[bool, Parameter(group=NETWORK)] = False
    image_size: Annotated[int | None, Parameter(group=STEP)] = None
    batch_size: Annotated[int, Parameter(group=STEP)] = 1
    device: Annotated[completers.Device, Parameter(group=MACHINE)] = "auto"
    dtype: Annotated[str, Parameter(group=STEP, completer=one_of(CHOICES["dtype"]))] = "float32"
    memory_format: Annotated[str, Parameter(group=STEP, completer=one_of(CHOICES["memory_format"]))] = (
        "contiguous"
    )
    mode: Annotated[str, Parameter(group=STEP, completer=one_of(CHOICES["mode"]))] = "inference"
    compile: Annotated[bool, Parameter(group=NETWORK)] = False
    graph: Annotated[bool, Parameter(group=MEASUREMENT)] = False
    path: Annotated[str, Parameter(group=NETWORK, completer=one_of(CHOICES["path"]))] = "auto"
    threads: Annotated[int | None, Parameter(group=MACHINE)] = None
    detail: Annotated[bool, Parameter(group=MEASUREMENT)] = False
    energy: Annotated[bool, Parameter(group=MEASUREMENT)] = False
    runtime: Annotated[tuple[str, ...], Parameter(group=DEPLOYMENT, completer=several_of(RUNTIMES))] = ()
    precision: Annotated[
        tuple[str, ...], Parameter(group=DEPLOYMENT, completer=several_of(REDUCED_PRECISIONS))
    ] = ()
    quantise_gates: Annotated[bool, Parameter(group=DEPLOYMENT)] = False
    seconds: Annotated[float, Parameter(group=MEASUREMENT)] = 30.0

    def check(self) -> None:
        """Raise RequestError for a value that cannot be used, naming it and the choices."""
        check_at_least(self, image_size=1, batch_size=1, threads=1)
        if not 0 <= self.seconds < math.inf:
            raise RequestError(f"--seconds must be a finite number of at least 0, got {self.seconds:g}")
        check_backbone(self.backbone)
        for key, choices in CHOICES.items():
            if (given := getattr(self, key)) not in choices:
                raise RequestError(unknown_name(key.replace("_", " "), given, choices))
        self.candidates()
        self.dense()
        self._check_runtime()
        lightning_device(self.device)
        if self.mode == "training" and (self.graph or self.detail):
            flag = "--graph" if self.graph else "--detail"
            raise RequestError(f"{flag} measures inference only: leave out {flag}, or --mode training")
        if self.threads is not None:
            check_threads("--threads", self.threads)

    def _check_runtime(self) -> None:
        """Raise RequestError for a runtime that is not known, or settings that it does not have."""
        if not self.runtime:
            if self.precision or self.quantise_gates:
                flag = "--precision" if self.precision else "--quantise-gates"
                raise RequestError(f"{flag} is for another runtime: give --runtime onnxruntime, too")
            return
        for runtime in self.runtime:
            if runtime not in RUNTIMES:
                raise RequestError(unknown_name("runtime", runtime, RUNTIMES))
        for precision in self.precision:
            if precision not in REDUCED_PRECISIONS:
                raise RequestError(unknown_name("precision", precision, REDUCED_PRECISIONS))
        if self.quantise_gates and "int8" not in self.precision:
            raise RequestError("--quantise-gates is for int8: give --precision int8, too")
        for key, needed in ONLY_WITH_RUNTIME.items():
            if getattr(self, key) != needed:
                flag = f"--{key.replace('_', '-')}"
                raise RequestError(f"{flag} is torch's alone: leave it out, or leave out --runtime")
        if self.detector:
            raise RequestError("--runtime is for classifiers and segmenters: leave it out, or --detector")
        if self.device not in ("auto", "cpu"):
            raise RequestError(f"--runtime runs on the CPU, and --device is {self.device}: leave it out")

    def dense(self) -> "DenseNetwork | None":
        """Return the detector or segmenter over the backbone; None for a classifier.

        Raises:
            RequestError: an unknown name or option, both at once, or a detector with settings of classifiers.
        """
        from foveate.studies.spec.dense import read_dense

        given = {"detector": self.detector, "segmenter": self.segmenter}
        found = read_dense({key: value for key, value in given.items() if value}, pretrained=False)
        if self.detector and (self.compile or self.graph):
            flag = "--compile" if self.compile else "--graph"
            raise RequestError(
                f"{flag}: detectors choose boxes by their values, which a graph of operators cannot follow: "
                f"leave out {flag}, or profile the backbone alone"
            )
        return found

    def candidates(self) -> "tuple[Candidate, ...]":
        """Return the mechanisms; RequestError for a name that is not known."""
        from foveate.studies.spec.candidate import parse_candidates

        return parse_candidates(self.attention)
