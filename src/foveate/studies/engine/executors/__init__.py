"""Where the runs of a study are carried out: in processes of this machine, or by a scheduler of a cluster."""
