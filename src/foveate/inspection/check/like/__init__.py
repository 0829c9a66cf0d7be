"""`foveate check --like`: a module beside a built-in with equal weights, and how they differ."""
