"""The settings of `foveate profile`."""

from dataclasses import dataclass

__all__ = ["ProfileSettings"]


@dataclass(frozen=True, kw_only=True)
class ProfileSettings:
    """Which networks are profiled, and how they are measured.

    Attributes:
        backbone: Network that attention is added to: a timm name such as resnet50, or torchvision/NAME.
        attention: Attention mechanisms to profile, separated by commas: se,'dmsca(reduction=8)'.
        image_size: Side of the images in pixels; by default the backbone's own.
        batch_size: Images per step.
        device: Device to measure on: auto, cpu, cuda, cuda:N or mps.
        dtype: Floating-point type of weights and images: float32, bfloat16 or float16.
        memory_format: Memory layout of weights and images: contiguous or channels_last.
        mode: What a step is: inference, or training (forward, backward and optimiser step).
        compile: Compile the networks with torch.compile.
        graph: Capture each step as a CUDA graph, which excludes the time of kernel launches.
        path: Kernel path of the mechanisms: auto, reference, rearranged, numba or triton.
        threads: Number of CPU threads; by default OMP_NUM_THREADS or the available cores.
        detail: Also time the parts of each mechanism.
        seconds: Seconds to measure for, at least 11 rounds.
    """

    backbone: str
    attention: str
    image_size: int | None = None
    batch_size: int = 1
    device: str = "auto"
    dtype: str = "float32"
    memory_format: str = "contiguous"
    mode: str = "inference"
    compile: bool = False
    graph: bool = False
    path: str = "auto"
    threads: int | None = None
    detail: bool = False
    seconds: float = 30.0
