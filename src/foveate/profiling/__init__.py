"""What attention costs: `foveate profile` and `foveate list`."""
