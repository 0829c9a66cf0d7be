"""The command line: flags in, records out to the terminal; no logic."""

from foveate.extras import check_bench

check_bench(__name__)
