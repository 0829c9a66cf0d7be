"""One thread a process: two test workers that each take all cores mostly wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
