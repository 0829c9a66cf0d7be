"""What an export wrote, and how closely it agrees with the network: for JSON, and in lines for people."""

from typing import NamedTuple

from foveate.models.export.parity import Agreement, OutputDifference, shapes_in_words
from foveate.notation import count

__all__ = ["Exported", "Gates", "in_lines"]


class Gates(NamedTuple):
    """The attention in an int8 file: its precision, at how many sites it is, and of how many operators."""

    precision: str  # "fp32" or "int8"
    sites: int
    operators: int


class Exported(NamedTuple):
    """What was written, and how it was compared with the network."""

    path: str
    format: str
    bytes: int
    opset: int | None  # ONNX's
    axes: dict[str, str]  # batch, height, width: "any", "from 64", "32 to 63", or the one size, "224"
    fixed_because: str | None  # why height and width are fixed, where they are
    checked: list[list[int]]  # these six as in Parity; of int8, the differences are over calibration images
    refused: list[list[int]]
    outputs: list[OutputDifference]
    logits_difference: float | None
    probabilities_difference: float | None
    largest_logit: float | None
    precision: str = "fp32"
    calibration: Agreement | None = None  # of int8, on the images that it was calibrated with
    gates: Gates | None = None  # of int8

    def to_json(self) -> dict[str, object]:
        """Return the fields, with values of JSON."""
        return self._asdict() | {
            "outputs": [output._asdict() for output in self.outputs],
            "calibration": self.calibration and self.calibration._asdict(),
            "gates": self.gates and self.gates._asdict(),
        }


def in_lines(done: Exported) -> list[str]:
    """Return lines for people: what was written, which sizes it takes, and how closely it agrees."""
    opset = f", opset {done.opset}" if done.opset else ""
    precision = f", {done.precision}" if done.precision != "fp32" else ""
    axes = ", ".join(f"{axis} {size}" for axis, size in done.axes.items())
    lines = [f"{done.path}: {done.format}{opset}{precision}, {done.bytes / 1e6:.1f} MB, {axes}"]
    if done.fixed_because:
        lines.append(f"height and width are fixed: {done.fixed_because}")
    if done.gates and done.gates.sites:
        kept = "stays in float32" if done.gates.precision == "fp32" else "is quantised, too"
        lines.append(
            f"attention {kept}: {count(done.gates.operators, 'operator')} at "
            f"{count(done.gates.sites, 'site')}"
        )
    if done.logits_difference is not None:
        differences = (
            f"{done.logits_difference:.1e} in a logit (of up to {done.largest_logit:.3g}), "
            f"{done.probabilities_difference:.1e} in a probability"
        )
    else:
        differences = ", ".join(
            f"{output.difference:.1e} in {output.name} (of up to {output.largest:.3g})"
            for output in done.outputs
        )
    over = shapes_in_words(done.checked)
    if done.calibration is not None:
        over = f"the {count(done.calibration.images, 'image')} that it was calibrated with"
    lines.append(f"largest difference from the network {differences}, over {over}")
    if done.calibration is not None and done.calibration.same_class is not None:
        lines.append(
            f"{done.calibration.same_class} of these {done.calibration.images} images get the class that "
            "the network gives them"
        )
    if done.refused:
        lines.append(f"it refuses images that the network takes: {shapes_in_words(done.refused)}")
    return lines
