"""The section of a report on corrupted and attacked images."""
