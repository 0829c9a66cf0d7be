"""The label of the baseline in records, and the names that a person reads."""

__all__ = ["BASELINE", "display_name", "name_in_sentence"]

BASELINE = "none"
"""The label of the baseline, the backbone without attention."""


def display_name(label: str) -> str:
    """Return the name that a person reads for `label` in a table or a chart."""
    return "baseline" if label == BASELINE else label


def name_in_sentence(label: str) -> str:
    """Return the name that a person reads for `label` in a sentence: the baseline has an article."""
    return "the baseline" if label == BASELINE else label
