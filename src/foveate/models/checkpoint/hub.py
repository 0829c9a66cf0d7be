"""Networks to the Hugging Face hub and back, through the hub's own mixin."""

import inspect
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import ModelHubMixin, hf_hub_download
from safetensors import safe_open
from torch import nn

from foveate.errors import unknown_name
from foveate.files import write_json
from foveate.models.backbones.arguments import Arguments
from foveate.models.checkpoint.custom_code import CustomClass
from foveate.models.checkpoint.description import KEY, Description
from foveate.models.checkpoint.save_load import AUTO, WEIGHTS, load, save

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]

CARD = """\
---
{{ card_data }}
---

# {{ model_name | default("A network with attention", true) }}

```python
import foveate, timm

model = foveate.from_pretrained("{{ repo_id | default("REPOSITORY", true) }}"{{ plain_network }})
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
```

The safetensors metadata say which backbone and which attention this is, with its options, its classes and how
images are prepared.
"""
UPLOADING = [
    name
    for name in inspect.signature(ModelHubMixin.push_to_hub).parameters
    if name not in ("self", "repo_id", "config")  # the description of the network is the config
]
"""The mixin's options of an upload."""


@dataclass(frozen=True)
class Saving:
    """The options of `foveate.save`."""

    classes: Sequence[str] | None = None
    preprocessing: Mapping[str, Any] | None = None
    backbone: str | None = AUTO
    backbone_args: Arguments | None = None
    only: Literal["attention"] | None = None
    base: nn.Module | str | Path | None = None


class HubNetwork(
    ModelHubMixin,
    library_name="foveate",
    tags=["image-classification", "attention", "timm"],
    model_card_template=CARD,
):
    """A network as it is on the hub: one safetensors file, its description as JSON, and a card."""

    def __init__(self, network: nn.Module, saving: Saving | None = None) -> None:
        self.network = network
        self.saving = saving or Saving()
        self.description: Description | None = None

    def _save_pretrained(self, save_directory: Path) -> None:
        path = Path(save_directory) / WEIGHTS[1]
        save(self.network, path, **vars(self.saving))
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()[KEY])
        self.description = Description.from_json(about)
        # The same where the hub looks for it, which counts downloads by this file.
        write_json(path.with_name("config.json"), about)

    def generate_model_card(self, **kwargs: Any) -> Any:
        """Return the card, with `model=` or `base=` where the network without attention has to be passed."""
        assert self.description is not None  # the mixin saves first
        own = "" if self.description.backbone else f", model={self.description.network}(…)"
        if self.description.base is not None:
            own = f", base={self.description.network}(…)"
        return super().generate_model_card(plain_network=own, **kwargs)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        loading: Mapping[str, Any] | None = None,
        **config: Any,  # the mixin adds what it finds in config.json
    ) -> "HubNetwork":
        if Path(model_id).is_dir():
            return cls(load(model_id, **(loading or {})))
        path = hf_hub_download(
            model_id,
            WEIGHTS[1],
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        return cls(load(path, **(loading or {})))


def save_pretrained(
    model: nn.Module,
    folder: str | Path,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    backbone: str | None = AUTO,
    backbone_args: Arguments | None = None,
    only: Literal["attention"] | None = None,
    base: nn.Module | str | Path | None = None,
    **options: Any,
) -> None:
    """Write `model` to `folder` as it would be on the hub.

    The named arguments are those of `foveate.save`, which documents what is written and raised. `options`
    are those of the hub's mixin: model_card_kwargs, or push_to_hub=True, repo_id and those of an
    upload. Any other raises TypeError.
    """
    uploading = ["repo_id", *UPLOADING] if options.get("push_to_hub") else ["model_card_kwargs"]
    _refuse_unknown("save_pretrained", options, ["push_to_hub", *uploading])
    saving = Saving(classes, preprocessing, backbone, backbone_args, only, base)
    HubNetwork(model, saving).save_pretrained(folder, **options)


def push_to_hub(
    model: nn.Module,
    repo_id: str,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    backbone: str | None = AUTO,
    backbone_args: Arguments | None = None,
    only: Literal["attention"] | None = None,
    base: nn.Module | str | Path | None = None,
    **options: Any,
) -> str:
    """Upload `model` to `repo_id`, and return the address of the commit.

    The named arguments are those of `foveate.save`, which documents what is written and raised. `options`
    are those of the hub's mixin: token, private, branch, commit_message … Any other raises
    TypeError.
    """
    _refuse_unknown("push_to_hub", options, UPLOADING)
    saving = Saving(classes, preprocessing, backbone, backbone_args, only, base)
    card = {"repo_id": repo_id, **(options.pop("model_card_kwargs", None) or {})}
    return HubNetwork(model, saving).push_to_hub(repo_id, model_card_kwargs=card, **options)


def from_pretrained(
    repo_id: str | Path,
    model: nn.Module | None = None,
    *,
    device: str | torch.device = "cpu",
    base: nn.Module | None = None,
    attention: CustomClass | Sequence[CustomClass] | None = None,
    trust_code: bool = False,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> nn.Module:
    """Rebuild the network in a repository of the hub, or in a folder, with its weights, in eval mode.

    `model`, `device`, `base`, `attention` and `trust_code` are those of `foveate.load`, which documents what
    is returned and raised; the rest are those of the hub's mixin.
    """
    fetched = HubNetwork.from_pretrained(
        str(repo_id),
        loading={
            "model": model,
            "device": device,
            "base": base,
            "attention": attention,
            "trust_code": trust_code,
        },
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
    )
    return fetched.network


def _refuse_unknown(function: str, options: Arguments, accepted: Collection[str]) -> None:
    for option in options:
        if option not in accepted:
            raise TypeError(
                unknown_name(f"option of {function}", option, [*Saving.__annotations__, *accepted])
            )
