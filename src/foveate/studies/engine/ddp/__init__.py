"""One run over several devices: the processes that train it together, by Lightning's DDP."""
