"""Studies: what is run, the runs of a study, and the record of each."""
