"""Studies: what is run, the runs of a study, and the record of each."""

from foveate.extras import check_bench

check_bench(__name__)
