"""The version of the package, and of the records that it writes."""

__version__ = "0.1.0"
