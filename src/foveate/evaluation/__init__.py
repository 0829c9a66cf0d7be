"""Measurements of a trained network: its scores, its cost, its attention maps, and statistics over seeds."""
