"""Metrics that are no means over images, on draws of the test images with replacement."""
