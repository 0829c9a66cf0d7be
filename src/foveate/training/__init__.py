"""Training: the recipe, and the fit with Lightning."""
