"""The label of the baseline in records, and the names that a person reads."""

__all__ = ["BASELINE", "display_name"]

BASELINE = "none"
"""The label of the baseline, the backbone without attention."""


def display_name(label: str) -> str:
    """Return the name that a person reads for `label`: the baseline is written as "plain"."""
    return "plain" if label == BASELINE else label
