"""The catalogue of mechanisms, for people."""
