"""Images with boxes or masks: readers of their formats, checks, and the sets that dense tasks train on."""
