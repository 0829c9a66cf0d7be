"""The steps of on_gpu.py, a file each: proof, price, breakdown, accuracy; and what carries them out."""
