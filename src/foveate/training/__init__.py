"""The recipe, validated and written into every result, and the fit on Lightning."""
