"""Attention whose gate is a constant, folded into the layers beside it.

- `scaling`: how a layer takes a factor for each channel; `absorbing`: which layer takes that of a site.
- `folding`: which sites can be folded at which loss, and the folded network.
"""
