"""Batch norms of a detector or a segmenter: left, frozen, or replaced by group norms."""

from torch import nn

__all__ = ["freeze_norms", "group_norms"]

GROUPS = 32
"""Of a group norm (Wu & He 2018), or as many as divide the channels into two or more."""


def freeze_norms(network: nn.Module) -> None:
    """Replace each batch norm of `network`, in place, by one with fixed weights and statistics.

    They keep their values, and their state-dict keys: no batch is large enough for statistics in a detector
    that trains on a few images at a time. A network without pretrained weights cannot learn well so.
    """
    from timm.layers.norm_act import FrozenBatchNormAct2d
    from torchvision.ops import FrozenBatchNorm2d

    for path, norm in _batch_norms(network):
        if hasattr(norm, "act"):  # timm's norm that applies the activation too
            frozen = FrozenBatchNormAct2d(norm.num_features, eps=norm.eps)
            frozen.drop, frozen.act = norm.drop, norm.act  # type: ignore[assignment]
        else:
            frozen = FrozenBatchNorm2d(norm.num_features, eps=norm.eps)
        own = frozen.state_dict()
        frozen.load_state_dict({key: value for key, value in norm.state_dict().items() if key in own})
        network.set_submodule(path, frozen.to(norm.weight.device).train(norm.training))


def group_norms(network: nn.Module) -> None:
    """Replace each batch norm of `network`, in place, by a group norm of 32 groups, or of fewer that fit.

    A group has two channels at least: one alone would be an instance norm, which makes a map of 1×1 zero.
    Their weights are ones and zeros: those of the batch norms, and their statistics, have no meaning there.
    """
    from timm.layers import GroupNormAct

    for path, norm in _batch_norms(network):
        groups = _groups(norm.num_features)
        if hasattr(norm, "act"):
            grouped: nn.Module = GroupNormAct(norm.num_features, groups)
            grouped.drop, grouped.act = norm.drop, norm.act
        else:
            grouped = nn.GroupNorm(groups, norm.num_features)
        network.set_submodule(path, grouped.to(norm.weight.device).train(norm.training))


def _batch_norms(network: nn.Module) -> list[tuple[str, nn.BatchNorm2d]]:
    return [(path, module) for path, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]


def _groups(channels: int) -> int:
    return max(
        count
        for count in range(1, GROUPS + 1)
        if channels % count == 0 and (count == 1 or channels // count > 1)
    )
