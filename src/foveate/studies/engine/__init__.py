"""How a study is carried out: runs, resuming, worker processes, progress."""
