"""The section of a report on where networks look."""
