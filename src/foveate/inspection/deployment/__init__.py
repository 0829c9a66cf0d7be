"""Trained networks as they are deployed: exported, quantised, and run by another runtime."""
