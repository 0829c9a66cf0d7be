"""The steps of on_gpu.py, one per file (proof, price, breakdown, speed, accuracy), and their common parts."""
