"""The names of the files and folders of records; this module imports nothing."""

__all__ = ["COST", "PROFILE", "RESULT", "RUNS", "SEARCH", "STUDY"]

STUDY, COST, RUNS, RESULT = "study.json", "cost.json", "runs", "result.json"
PROFILE = "profile.json"
SEARCH = "search"
"""The folder of the trials of a study, beside that of its runs."""
