"""`foveate explain`: where trained networks look, and scores of the maps."""
