"""The names registered with timm: BACKBONE_MECHANISM, for each mechanism in each backbone.

They take timm's arguments and keep its contract. Pretrained weights without attention are the backbone's,
and the attention keeps its initial weights; weights with attention, from training under the name, are loaded
whole.

The names are those of the table of mechanisms, and what attaches these is imported when a network is built,
because the registration is part of every import of timm.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    get_arch_pretrained_cfgs,
    model_entrypoint,
    register_model,
)
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.backbones import cifar_resnet  # noqa: F401  registers them
from foveate.models.backbones.names import registered_names

__all__: list[str] = []  # timm adds the names

# A name's pretrained weights, tag by tag, are its backbone's.
default_cfgs = generate_default_cfgs(
    {
        tagged.replace(one.backbone, name, 1): cfg
        for name, one in registered_names().items()
        for tagged, cfg in get_arch_pretrained_cfgs(one.backbone).items()
    }
)


FILTER_ARGUMENTS = {"timm.models.deit": {"adapt_layer_scale": True}}
"""What timm's modules pass to the function that converts checkpoints, where they pass something."""


LAST_OF_A_VIT = 3
"""How many feature maps timm's ViTs give, the last ones, where none are chosen."""


def _entrypoint(backbone: str, mechanism: str) -> Callable[..., nn.Module]:
    name = f"{backbone}_{mechanism}"
    plain = model_entrypoint(backbone)
    # The function by this name in timm's modules converts older and foreign layouts of checkpoints.
    rename = getattr(sys.modules[plain.__module__], "checkpoint_filter_fn", None)
    if rename and plain.__module__ in FILTER_ARGUMENTS:
        rename = functools.partial(rename, **FILTER_ARGUMENTS[plain.__module__])

    def build(**kwargs: Any) -> nn.Module:
        from foveate.models.sites.attach import attach

        return attach(plain(**kwargs), mechanism)

    def complete(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
        from foveate.models.sites.attach import attached

        weights = rename(weights, model) if rename else weights
        paths = tuple(f"{path}." for path in attached(model))
        drawn = {key: value for key, value in model.state_dict().items() if key.startswith(paths)}
        held = {key for key in weights if ".attention." in key}
        if held and held != drawn.keys():
            differing = sorted(held ^ drawn.keys())
            raise RequestError(
                f"these weights hold other attention than {name}'s: {len(differing)} entries differ, such as "
                f"{differing[0]!r}. Create the name that they were trained under."
            )
        return weights if held else {**weights, **drawn}

    def create(pretrained: bool = False, features_only: bool = False, **kwargs: Any) -> nn.Module:
        if not features_only:
            return build_model_with_cfg(build, name, pretrained, pretrained_filter_fn=complete, **kwargs)
        asked = {key: kwargs.pop(key) for key in ("out_indices", "feature_cls") if key in kwargs}
        chosen = kwargs.pop("feature_cfg", {})
        model: Any = create(pretrained, **{**kwargs, "num_classes": 0})
        modules = [info["module"] for info in model.feature_info]
        one_stage = len({info["reduction"] for info in model.feature_info}) == 1
        defaults = {
            "out_indices": LAST_OF_A_VIT if one_stage else tuple(range(len(modules))),
            # Swin's maps have channels last, and timm's features of it too: the getter would turn them.
            "feature_cls": "list" if str(getattr(model, "output_fmt", "")) == "NHWC" else "getter",
            "flatten_sequential": any("." in module for module in modules),
        }
        # The attention is in before timm's wrapper takes the network apart.
        return build_model_with_cfg(
            lambda **_: model,
            name,
            pretrained=False,
            pretrained_cfg=model.pretrained_cfg,
            feature_cfg={**defaults, **chosen},
            features_only=True,
            **asked,
        )

    create.__name__ = create.__qualname__ = name
    create.__doc__ = (
        f"{backbone} with {mechanism} at its paper's place; pretrained weights are the backbone's."
    )
    return create


for _name, _one in registered_names().items():
    globals()[_name] = register_model(_entrypoint(_one.backbone, _one.mechanism))
