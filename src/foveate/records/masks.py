"""The label of a pixel without a class, the same in files, in training and in records."""

__all__ = ["IGNORED"]

IGNORED = 255
"""The label of a pixel that is not labelled, and counts for nothing."""
