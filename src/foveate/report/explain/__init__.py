"""The section of a report on where networks look: its summary, tables and words."""
