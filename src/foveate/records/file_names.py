"""The names of the files and folders of records; this module imports nothing."""

__all__ = ["COST", "FOLD", "PROFILE", "RESULT", "RUNS", "SEARCH", "STUDY"]

STUDY, COST, RUNS, RESULT = "study.json", "cost.json", "runs", "result.json"
PROFILE = "profile.json"
FOLD = "fold"
"""The kind of the record of `foveate fold`, and the stem of its files in the folder of a run."""
SEARCH = "search"
"""The folder of the trials of a study, beside that of its runs."""
