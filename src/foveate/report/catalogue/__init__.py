"""The catalogue of mechanisms, for a terminal."""
