"""`foveate robustness`: trained networks on corrupted and on attacked images."""
