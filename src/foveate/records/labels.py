"""The labels of candidates in records, and how a person reads them."""

__all__ = ["BASELINE", "display_name"]

BASELINE = "none"
"""The label of the backbone without attention, which every mechanism is compared with."""


def display_name(label: str) -> str:
    """Return the name that a person reads for `label`: the baseline is written as "plain"."""
    return "plain" if label == BASELINE else label
