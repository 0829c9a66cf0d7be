"""What networks are trained to do: head, loss, metrics and scores of each task."""
