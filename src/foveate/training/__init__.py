"""Training: the recipe, and the fit with Lightning."""

from foveate.extras import check_bench

check_bench(__name__)
