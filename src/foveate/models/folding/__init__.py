"""Attention whose gate is a constant, folded into the layers beside it.

- `scaling`: how a layer takes a factor for each channel; `absorbing`: which layer takes those of a site.
- `constants`: which gates can be folded, and their constants; `choosing`: which are, at what loss.
- `replacing`: attention taken out, or replaced, at single sites; `folding`: all of it, a folded network.
"""
