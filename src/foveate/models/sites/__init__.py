"""Where attention can go in a network, how it gets in and out, and what it does there.

- `architectures`: tables of the blocks and stages of known networks; `find`: the sites that they give.
- `selection`, `dry_run`: which sites a request means, and how wide the maps at any other module are.
- `attach`, `insertion`: attention is built for its sites; how a module runs it (its own class, not a hook).
- `own`: attention that a network has of its own, and how it is taken out.
- `capture`: hooks that record the intermediate maps of attention; `kernel_paths`: which kernels it runs by.
- `target_layers`: the layer for class activation maps. `forward_pass`, `wrappers`: what all of these use.
"""
