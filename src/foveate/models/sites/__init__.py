"""Where attention can go in a network, how it gets in and out, and what it does there."""
