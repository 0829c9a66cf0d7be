"""The names of corruptions and attacks as a person reads them."""

from foveate.records.robustness import stated_sigma

__all__ = ["attack_name", "corruption_name"]

CORRUPTIONS = {"jpeg_compression": "JPEG compression"}
ATTACKS = {"fgsm": "FGSM", "pgd": "PGD"}


def corruption_name(name: str) -> str:
    """Write the name of a corruption: "motion blur", "noise, σ = 15"."""
    if (sigma := stated_sigma(name)) is not None:
        return f"noise, σ = {sigma}"
    return CORRUPTIONS.get(name, name.replace("_", " "))


def attack_name(name: str) -> str:
    """Write the name of an attack: "PGD", "ensemble"."""
    return ATTACKS.get(name, name)
