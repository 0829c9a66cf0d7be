"""The commands that examine trained networks: explain, robustness, transfer, deploy."""

from foveate.extras import check_bench

check_bench(__name__)
