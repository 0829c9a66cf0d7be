"""Typed records of everything that foveate keeps on disk: their file names, versions, reading and writing."""

from foveate.extras import check_bench

check_bench(__name__)
