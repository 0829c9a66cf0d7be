"""Export a network as ONNX or as a torch.export program, and check the file by running both.

The network is exported in its present state, in evaluation mode: from normalised images (B, C, H, W) to
whatever tensors it returns, alone or in lists, tuples and dicts. The caller's network is copied and not
changed. A file is in float32; ONNX can also have fewer bits (see precision.py).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn

from foveate.files import write_bytes
from foveate.models.checkpoint.save_load import load
from foveate.models.export.build import build, build_reduced
from foveate.models.export.exported import Exported
from foveate.models.export.formats import check_export, check_format, check_precision
from foveate.models.export.precision import Precision, check_calibration
from foveate.models.export.tracing import image_shape
from foveate.models.sites.wrappers import unwrap

__all__ = ["export", "export_file"]


def export_file(
    source: Path,
    format: str,
    path: Path | None = None,
    *,
    image_size: int | None = None,
    output_names: Sequence[str] | None = None,
    precision: str = "fp32",
    calibration: Tensor | None = None,
    quantise_gates: bool = False,
    trust_code: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Exported:
    """Load what `foveate.save` wrote to `source`, a file or a run's folder, and `export` it.

    `path` is by default beside the weights, with the format's own ending. Raises RequestError also where it
    cannot be written, before any work, and whatever `load` does.
    """
    path = check_export(source, format, path)
    check_precision(format, precision, quantise_gates=quantise_gates)
    on_step(f"reading {source}")
    model = load(source, trust_code=trust_code)
    return export(
        model,
        path,
        format,
        image_size=image_size,
        output_names=output_names,
        precision=precision,
        calibration=calibration,
        quantise_gates=quantise_gates,
        on_step=on_step,
    )


def export(
    model: nn.Module,
    path: Path | str,
    format: str,
    *,
    image_size: int | None = None,
    output_names: Sequence[str] | None = None,
    precision: str = "fp32",
    calibration: Tensor | None = None,
    quantise_gates: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Exported:
    """Write `model` to `path` in `format`, "onnx" or "exported-program", if the file passes its check.

    The batch is dynamic, and so are height and width; where the network refuses that, the result says why.
    `image_size` is the side to trace and check at; None is that of timm's `pretrained_cfg`, or 224.

    `output_names` are those of the tensors that the network returns, in its order. By default a classifier
    has "logits", any other network that returns one tensor "output"; a dict gives its keys, and a list
    "features_0", "features_1" and so on (see `name_outputs`). A program returns what the network does,
    whatever the names.

    Names of outputs, classes, preprocessing (where the model declares them) and foveate's version are written
    too: as metadata_props of ONNX, or as the extra file "foveate.json" of a program. `on_step` is called with
    each step as it begins.

    `precision` is "fp32", or of ONNX "fp16" or "int8"; inputs and outputs stay float32. int8 is onnxruntime's
    static quantisation, per channel, with the ranges that activations have on `calibration`, normalised
    images (N, C, H, W) that nobody tests on; some hundred of the real kind are enough. Attention, that of
    `attach` and that of the network's own, stays in float32 unless `quantise_gates`: with 8 bits a sigmoid
    has few values.

    torchvision's detectors, and foveate's, are exported as ONNX for one image (1, C, H, W), and compared by
    their detections (see export/detectors.py).

    Raises RequestError for an unknown format, a network that takes no such images or returns anything but
    tensors, names that do not fit, and where ONNX is not installed; WorkError where torch cannot export the
    network, or an output of the file differs from the network's by more than 1e-4 (times its largest value,
    where that is above 1), in fp16 by more than 0.05. int8 is not equal: the result says by how much it
    differs on the calibration images, and how many of them are given the same class. `path` is as it was
    where anything is raised.
    """
    asked = Precision(precision, calibration, quantise_gates)
    check_format(format)
    check_precision(format, precision, quantise_gates=quantise_gates)
    check_calibration(asked, image_shape(unwrap(model), image_size))
    built = build(model, format, image_size=image_size, output_names=output_names, on_step=on_step)
    content, about, _ = build_reduced(built, asked, on_step)
    write_bytes(Path(path), content)
    return about._replace(path=str(path))
