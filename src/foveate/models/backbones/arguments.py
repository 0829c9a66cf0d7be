"""The type of what is handed to the constructors of timm and torchvision, which check it themselves."""

from typing import Any

__all__ = ["Arguments"]

Arguments = dict[str, Any]
"""Keyword arguments of a constructor; values that a file may hold are those of JSON."""
