"""The plan of a study, for a terminal."""
