"""Networks as files: saving, loading, the description of a network, and the hub.

- `save_load`: a network in one safetensors file; `hub`: the same on the Hugging Face hub.
- `description`, `attention_groups`: the description of the network, as dataclasses and as JSON.
- `rebuild`, `rebuild_check`: the network built from that, and compared with the one that is saved.
- `pretrained`: backbones with weights of any origin.
- `state_dicts`, `weight_files`: weights of any origin; `size_limits`: what a file may ask to be built.
"""
