"""What is measured of a trained network: its scores, its cost, and the statistics over seeds."""
