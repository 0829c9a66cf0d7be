"""The section of a report on transfer to another set of images."""
