"""ONNX: the bytes of a file, and onnxruntime running exactly those; needs the extra `foveate[onnx]`."""

import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from foveate.errors import RequestError
from foveate.models.export.metadata import Metadata
from foveate.models.export.parity import Run
from foveate.models.sites.outputs import INPUT

__all__ = ["OPSET", "onnx_bytes", "onnx_runner", "onnx_session", "require_onnx", "with_metadata"]

OPSET = 18
"""What torch's exporter writes without converting, from torch 2.6 on; onnxruntime reads it from 1.14 on."""

STACK_TRACE = "pkg.torch.onnx.stack_trace"


def require_onnx() -> None:
    """Raise RequestError unless onnx, onnxscript and onnxruntime can be imported."""
    try:
        for name in ("onnx", "onnxscript", "onnxruntime"):
            import_module(name)
    except ImportError as error:
        raise RequestError(f"format 'onnx' needs {error.name}: pip install 'foveate[onnx]'") from error


def onnx_bytes(program: ExportedProgram, symbols: Mapping[str, str], metadata: Metadata) -> bytes:
    """Serialise `program`, weights included, with the input "images" and the outputs that `metadata` names.

    `symbols` names the axes that torch calls s77 and the like; `metadata` becomes metadata_props, as JSON
    where a value is not a string.
    """
    written = torch.onnx.export(
        program,
        (),
        dynamo=True,
        input_names=[INPUT],
        output_names=metadata.outputs,
        opset_version=OPSET,
        optimize=True,
        verbose=False,
    )
    assert written is not None
    proto = written.model_proto
    graph = proto.graph
    for node in graph.node:  # its lines of source, with the paths of this machine, are of no use to a runtime
        for entry in [one for one in node.metadata_props if one.key == STACK_TRACE]:
            node.metadata_props.remove(entry)
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.HasField("dim_param"):
                axis.dim_param = re.sub(r"\w+", lambda word: symbols.get(word[0], word[0]), axis.dim_param)
    return with_metadata(proto, metadata)


def with_metadata(proto: Any, metadata: Metadata) -> bytes:
    """Return the bytes of a file of `proto` with `metadata` as its metadata_props."""
    import onnx

    onnx.helper.set_model_props(
        proto,
        {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in metadata.to_json().items()
        },
    )
    content: bytes = proto.SerializeToString()
    return content


def onnx_session(content: bytes, threads: int | None = None) -> Any:
    """Load the bytes of a file into onnxruntime, on the CPU; by default with as many threads as torch."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    # Threads that wait in a loop take time from torch, which runs in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def onnx_runner(content: bytes, outputs: Sequence[str], threads: int | None = None) -> Run:
    """Load the bytes of a file into onnxruntime; return what runs it, and gives `outputs`."""
    session = onnx_session(content, threads)

    def run(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(output) for output in session.run(outputs, {INPUT: images.numpy()})]

    return run
