"""Where attention can go in a network, for a terminal."""
