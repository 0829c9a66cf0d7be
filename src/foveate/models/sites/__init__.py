"""Where attention can go in a network, how it gets in and out, and what it does there.

- `architectures`: tables of the blocks and stages of known networks; `find`: the sites that they give.
- `selection`, `dry_run`: which sites a request means, and how wide the maps at any other module are.
- `attach`, `insertion`: attention is built for its sites; how a module runs it (its own class, not a hook).
- `own`: attention that a network has of its own, and how it is taken out.
- `token_grids`, `layouts`: tokens and maps with channels last, as attention gets them.
- `frozen`: attention, and parts around it, that do not learn.
- `patterns`: what `at=` and `exclude=` mean; `map_sizes`: how large the maps at the sites are.
- `gates`: the gates of attention, recorded, held constant, or taken from another image.
- `capture`: hooks that record the intermediate maps of attention; `kernel_paths`: which kernels it runs by.
- `target_layers`: the layer for class activation maps. `forward_pass`, `wrappers`: what all of these use.
"""
