"""The names of detectors and segmenters, and of their choices; this module imports nothing."""

__all__ = ["DETECTORS", "NORMS", "PARTS", "SEGMENTERS"]

DETECTORS = ("fasterrcnn", "fcos", "retinanet")
SEGMENTERS = ("deeplabv3", "deeplabv3plus", "fpn", "unet")
NORMS = ("batch", "frozen", "group")
PARTS = ("backbone", "neck", "both")
