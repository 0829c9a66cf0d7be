"""The label of the baseline in records, and the names that a person reads."""

__all__ = ["BASELINE", "display_name", "name_in_sentence", "name_with_seed"]

BASELINE = "none"
"""The label of the baseline, the backbone without attention."""


def display_name(label: str) -> str:
    """Return the name that a person reads for `label`: baseline, or baseline(width=1.5) for a larger one."""
    is_baseline = label == BASELINE or label.startswith(f"{BASELINE}(")
    return f"baseline{label.removeprefix(BASELINE)}" if is_baseline else label


def name_in_sentence(label: str) -> str:
    """Return the name that a person reads for `label` in a sentence: the baseline has an article."""
    return "the baseline" if label == BASELINE else display_name(label)


def name_with_seed(label: str, seed: int | None) -> str:
    """Return the name that a person reads for a trained network: "baseline, seed 0"; None is no seed."""
    return display_name(label) if seed is None else f"{display_name(label)}, seed {seed}"
