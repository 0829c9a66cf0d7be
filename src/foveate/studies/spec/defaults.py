"""The defaults and choices of the keys of a study; this module imports nothing, as all flags need it."""

from typing import Final

__all__ = [
    "ABLATED",
    "ADJUST",
    "DEFAULT_RECIPE",
    "FAMILY",
    "FINE_TUNING_RECIPE",
    "GROW",
    "MAX_SEEDS",
    "RECIPE_OF_DATA",
    "RECIPE_OF_TASK",
    "SEEDS",
    "SPENDING",
    "TASKS",
    "TRIALS",
]

ABLATED: Final = ("dmsca", "sgfa")
"""The mechanisms that can be taken apart; ablation.py says how."""
SEEDS: Final = 3
ADJUST: Final = "holm"
FAMILY: Final = "baseline"
GROW: Final = "width"
MAX_SEEDS: Final = 20
SPENDING: Final = "obrien-fleming"
TRIALS: Final = 20
DEFAULT_RECIPE = "default"
FINE_TUNING_RECIPE = "fine_tuning"
"""The default recipe of studies that start from pretrained weights."""
RECIPE_OF_DATA = {"digits": "digits"}
"""The default recipes of data sets that have their own."""
TASKS = ("classification", "detection", "segmentation")
"""The tasks that networks are trained for; a test compares them with `foveate.tasks.TASKS`."""
RECIPE_OF_TASK = {"detection": "detection", "segmentation": "segmentation"}
"""The default recipes of tasks that have their own."""
