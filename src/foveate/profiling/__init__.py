"""Measure what attention costs: `foveate profile` and `foveate list`."""
