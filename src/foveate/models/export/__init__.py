"""Networks as ONNX files and torch.export programs, checked by running both."""

from foveate.models.export.export import export, export_file

__all__ = ["export", "export_file"]
