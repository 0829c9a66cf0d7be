"""The commands that examine trained networks: explain, robustness, transfer."""
