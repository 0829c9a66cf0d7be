"""All that a worker process imports, imported once in the process that the workers are forked from."""

import gc

from foveate.studies import compare, trial_runs
from foveate.studies.engine import rehearsal

__all__ = ["compare", "rehearsal", "trial_runs"]

# What is alive now is never collected: a collection would write to the memory that the workers share.
gc.collect()
gc.freeze()
