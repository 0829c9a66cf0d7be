"""The defaults of the keys of a study; this module imports nothing, so that flags can show them at once."""

from typing import Final

__all__ = [
    "ADJUST",
    "DEFAULT_RECIPE",
    "FAMILY",
    "FINE_TUNING_RECIPE",
    "GROW",
    "RECIPE_OF_DATA",
    "SEEDS",
    "TRIALS",
]

SEEDS: Final = 3
ADJUST: Final = "holm"
FAMILY: Final = "baseline"
GROW: Final = "width"
TRIALS: Final = 20
DEFAULT_RECIPE = "default"
FINE_TUNING_RECIPE = "fine_tuning"
"""The default recipe of studies that start from pretrained weights."""
RECIPE_OF_DATA = {"digits": "digits"}
"""The default recipes of data sets that have their own."""
