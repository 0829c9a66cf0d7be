"""The margin within which a difference counts as practically the same, where none is asked for."""

from typing import Final

__all__ = ["MARGIN_POINTS"]

MARGIN_POINTS: Final = 0.5
"""In points of a metric in per cent."""
