"""Measurements of a trained network: its scores, its cost, its attention maps, and statistics over seeds."""

from foveate.extras import check_bench

check_bench(__name__)
