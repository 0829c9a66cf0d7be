"""What each intermediate of a built-in mechanism is, in a sentence, for whoever sees its short name."""

from torch import nn

from foveate.attention import MECHANISMS

__all__ = ["EXPLANATIONS", "explain_intermediate"]

CHANNELS = "The weight of each channel, from 0 (switched off) to 1 (passed on)."
POSITIONS = "The weight of each position of the map, the same for all channels, from 0 to 1."
ELEMENTS = "The weight of each element, by position and channel, from 0 to 1."
MASK_C = "The channel mask: the weight of each channel in one of the two masked copies, from 0 to 1."
MASK_S = "The spatial mask: the weight of each position in one of the two masked copies, from 0 to 1."
UNIT_GATE = "The gate of the gated unit: how much of its result is added to each element, from 0 to 1."

EXPLANATIONS: dict[str, dict[str, str]] = {
    "a2": {
        "gather": "From where each feature is gathered: shares of the positions, of sum 1 for a feature.",
        "distribute": "Which features a position is given: shares of the features, of sum 1 at a position.",
    },
    "bam": {
        "channel": "The channel branch: one number a channel, before the sigmoid; over 0 it opens the gate.",
        "spatial": "The spatial branch: one number a position, before the sigmoid; over 0 it opens the gate.",
        "gate": "The sigmoid of both branches together: how much of each element is added to itself, 0 to 1.",
    },
    "ca": {
        "height": "The weight of each row, in each channel, from 0 to 1.",
        "width": "The weight of each column, in each channel, from 0 to 1.",
    },
    "cbam": {"channel": CHANNELS, "spatial": POSITIONS},
    "dmsca": {
        "tau": "The temperature τ of the channel weights; below 1 it drives them towards 0 and 1.",
        "A_c": CHANNELS,
        "F_multi": "The spatial context: what kernels of several sizes respond to at a position; at least 0.",
        "F_h": "The features of each row, which meet those of the columns in A_dir.",
        "F_w": "The features of each column, which meet those of the rows in A_dir.",
        "A_dir": "The weight of each element from its row, its column and their interaction, from 0 to 1.",
        "w_0": "The share of the channel-refined map in the fusion at each position; w₀ and w₁ sum to 1.",
        "w_1": "The share of the spatially refined map in the fusion at each position; w₀ and w₁ sum to 1.",
        "alpha": "The weight α of each position of the fused map, at the end, from 0 to 1.",
    },
    "eca": {"channel": CHANNELS},
    "gam": {
        "channel": "The weight of each element from the channels of its position, from 0 to 1.",
        "spatial": "The weight of each element from its neighbourhood, from 0 to 1.",
    },
    "nam": {"gate": ELEMENTS},
    "scpa": {"M_c": MASK_C, "M_s": MASK_S},
    "se": {"channel": CHANNELS},
    "sgfa": {"M_c": MASK_C, "M_s": MASK_S, "gate": UNIT_GATE},
    "sgfa_ca": {"M_c": CHANNELS},
    "sgu": {"gate": UNIT_GATE},
    "simam": {
        "gate": "The weight of each element, from 0.62 on: higher the more it stands out in its channel."
    },
    "triplet": {
        "channel_width": "The weight of each pair of channel and column, pooled over the rows, from 0 to 1.",
        "height_channel": "The weight of each pair of row and channel, pooled over the columns, from 0 to 1.",
        "height_width": "The weight of each position, pooled over the channels, from 0 to 1.",
    },
}
"""By the name of the mechanism, then by the name under which its `forward` records the value."""


def explain_intermediate(module: nn.Module, name: str) -> str:
    """Return what the intermediate `name` of `module` is; of a person's own class, only who records it."""
    for mechanism, explained in EXPLANATIONS.items():
        if isinstance(module, MECHANISMS[mechanism].module) and name in explained:
            return explained[name]
    return f"Recorded as {name} by {type(module).__name__}."
