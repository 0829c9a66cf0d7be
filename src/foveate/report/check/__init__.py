"""What `foveate check` prints."""
