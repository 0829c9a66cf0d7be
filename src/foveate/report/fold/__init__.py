"""What `foveate fold` found, for a terminal."""
