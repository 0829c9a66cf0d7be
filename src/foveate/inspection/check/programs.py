"""Promises on programs made from the module: torch.compile, torch.export and ONNX."""

import copy

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.testing import assert_close

from foveate.errors import RequestError
from foveate.evaluation.compiling import compile_whole
from foveate.inspection.check.learning import gradients_of
from foveate.inspection.check.subject import NotApplicable, Outcome, Subject, short
from foveate.models.export.onnx_file import OPSET, onnx_runner, require_onnx
from foveate.models.sites.outputs import INPUT
from foveate.records.check import Cause

__all__ = ["compile_fault", "compiled", "export_program", "exported", "onnx", "onnx_run"]

CAUSES: tuple[Cause, ...] = ("numpy inside", "values read inside", "CUDA call inside")
TOLERANCE, OUTPUT = 1e-4, "map"
OTHER_SIZES = ((9, 4), (2, 11), (1, 1))


def compile_fault(module: nn.Module, x: Tensor, other: nn.Module | None = None) -> str:
    """Return how the compiled `module` differs from it, in its output or a gradient: "" if it does not.

    `other` is the equal module that is compiled, by default a copy. One graph is made of it, by the backend
    "aot_eager", which traces forward and backward and generates no code.
    """
    torch.compiler.reset()
    other = copy.deepcopy(module) if other is None else other
    try:
        y, expected = compile_whole(other, "aot_eager")(x), module(x)
        assert_close(y, expected)
        assert_close(gradients_of(y, x, other), gradients_of(expected, x, module))
    except Exception as error:
        return short(error)
    return ""


def compiled(subject: Subject) -> Outcome:
    """torch.compile(fullgraph=True) gives the output and the gradients of the module."""
    x, training = subject.map(2, subject.ordinary_size).requires_grad_(), not subject.draws
    module, other = (subject.build(training=training) for _ in range(2))
    if fault := compile_fault(module, x, other):
        return subject.broken(x, fault, *CAUSES, training=training)
    return None


def export_program(module: nn.Module, x: Tensor, *, any_size: bool = True) -> ExportedProgram:
    """Export `module` for maps like x, of any batch and, with `any_size`, of any height and width."""
    axes = (0, 2, 3) if any_size else (0,)
    shapes = (dict.fromkeys(axes, torch.export.Dim.DYNAMIC),)
    return torch.export.export(module, (x,), dynamic_shapes=shapes)


def onnx_run(program: ExportedProgram, maps: list[Tensor]) -> list[Tensor]:
    """Write `program` as ONNX, in memory, and return what onnxruntime gives for each map."""
    written = torch.onnx.export(
        program,
        (),
        dynamo=True,
        verbose=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=OPSET,
    )
    assert written is not None
    run = onnx_runner(written.model_proto.SerializeToString(), [OUTPUT])
    return [run(x)[0] for x in maps]


def exported(subject: Subject) -> Outcome:
    """torch.export gives the output of the module at other batches and sizes, too."""
    module, x = subject.build(), subject.map(2, subject.ordinary_size)
    try:
        program = export_program(module, x, any_size=subject.takes_any_size).module()
    except Exception as error:
        return subject.broken(x, error, *CAUSES)
    for other in _other_maps(subject):
        try:
            assert_close(program(other), module(other))
        except Exception as error:
            return subject.broken(other, error)
    return None


def onnx(subject: Subject) -> Outcome:
    """The ONNX file, run by onnxruntime, gives the output of the module at other batches and sizes, too."""
    try:
        require_onnx()
    except RequestError as error:
        return NotApplicable(str(error))
    module, maps = subject.build().cpu(), [x.cpu() for x in _other_maps(subject)]
    x = subject.map(2, subject.ordinary_size).cpu()
    try:
        outputs = onnx_run(export_program(module, x, any_size=subject.takes_any_size), maps)
    except Exception as error:
        return subject.broken(x, error, *CAUSES)
    for other, y in zip(maps, outputs, strict=True):
        expected = module(other)
        difference = (y - expected).abs().max().item() if y.shape == expected.shape else torch.inf
        if not difference < TOLERANCE * max(1.0, expected.abs().max().item()):
            return subject.broken(other, f"the output of onnxruntime differs by {difference:.3g}")
    return None


def _other_maps(subject: Subject) -> list[Tensor]:
    sizes = OTHER_SIZES if subject.takes_any_size else (subject.ordinary_size,)
    return [subject.map(3, size) for size in sizes]
