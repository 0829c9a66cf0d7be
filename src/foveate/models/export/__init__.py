"""Networks as ONNX files and torch.export programs, checked by running both."""
