"""Measure what attention costs: `foveate profile` and `foveate list`."""

from foveate.extras import check_bench

check_bench(__name__)
