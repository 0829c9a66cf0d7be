"""`foveate explain` for detectors and segmenters: heat maps of known objects."""
