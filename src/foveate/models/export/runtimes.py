"""What runs an ONNX file: ONNX Runtime or OpenVINO, on the CPU with a stated number of threads."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from foveate.errors import RequestError
from foveate.models.export.onnx_file import onnx_session, require_onnx
from foveate.models.sites.outputs import INPUT

__all__ = ["FileRunner", "load_file", "require_runtime"]

FileRunner = Callable[[np.ndarray], Sequence[np.ndarray]]
"""From normalised images (B, C, H, W) in float32 to the arrays of the outputs."""


def require_runtime(runtime: str) -> None:
    """Raise RequestError unless what `runtime` needs can be imported: onnxruntime or openvino."""
    require_onnx()
    if runtime == "openvino":
        try:
            import openvino  # noqa: F401
        except ImportError as error:
            raise RequestError(
                f"runtime 'openvino' needs {error.name}: pip install 'foveate[openvino]'"
            ) from error


def load_file(runtime: str, content: bytes, outputs: Sequence[str], threads: int) -> FileRunner:
    """Load the bytes of an ONNX file into a runtime, and return what runs it and gives `outputs`.

    OpenVINO computes in float32 what is not quantised, as ONNX Runtime does, and is tuned for latency.
    """
    if runtime == "openvino":
        return _openvino(content, outputs, threads)
    session = onnx_session(content, threads)

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        found: Sequence[np.ndarray] = session.run(list(outputs), {INPUT: images})
        return found

    return run


def _openvino(content: bytes, outputs: Sequence[str], threads: int) -> FileRunner:
    import openvino

    core: Any = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(core.read_model(content), "CPU", settings).create_infer_request()

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        found = request.infer({INPUT: images})
        return [found[name] for name in outputs]

    return run
