"""The section of a report on the gates of attention: whether they react to the image."""
