"""Networks to the Hugging Face hub and back, through the hub's own mixin."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, hf_hub_download
from torch import nn

from foveate.files import write_json
from foveate.models.loading import read_safetensors
from foveate.models.weights import WEIGHTS, load, save

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]

CARD = """\
---
{{ card_data }}
---

# {{ model_name | default("A network with attention", true) }}

```python
import foveate, timm

model = foveate.from_pretrained("{{ repo_id | default("REPOSITORY", true) }}")
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
```

The safetensors metadata say which backbone and which attention this is, with its options, its classes and how
images are prepared.
"""


class HubNetwork(
    ModelHubMixin,
    library_name="foveate",
    tags=["image-classification", "attention", "timm"],
    model_card_template=CARD,
):
    """A network as the hub carries it: one safetensors file, what it says as JSON, and a card."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def _save_pretrained(self, save_directory: Path) -> None:
        path = Path(save_directory) / WEIGHTS[1]
        save(self.network, path)
        # The same words where the hub looks for them; it counts downloads by this file.
        write_json(path.with_name("config.json"), json.loads(read_safetensors(path)[1]["foveate"]))

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **request: Any) -> "HubNetwork":
        if Path(model_id).is_dir():
            return cls(load(model_id))
        wanted = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        request = {key: value for key, value in request.items() if key in wanted}
        return cls(load(hf_hub_download(model_id, WEIGHTS[1], **request)))


def save_pretrained(model: nn.Module, folder: str | Path, **options: Any) -> None:
    """Write `model` to `folder` as it would be on the hub; `options` are those of the hub's mixin."""
    HubNetwork(model).save_pretrained(folder, **options)


def push_to_hub(model: nn.Module, repo_id: str, **options: Any) -> str:
    """Upload `model` to `repo_id`, and return the address of the commit.

    `options` are those of the hub's mixin: token, private, branch, commit_message … `foveate.save` says what
    is written, and what it raises.
    """
    options = {"model_card_kwargs": {"repo_id": repo_id}, **options}
    return HubNetwork(model).push_to_hub(repo_id, **options)


def from_pretrained(repo_id: str | Path, **options: Any) -> nn.Module:
    """Rebuild the network in a repository of the hub, or in a folder, with its weights, in eval mode.

    `options` are those of the hub's mixin: revision, token, cache_dir, local_files_only … `foveate.load` says
    what is returned, and what it raises.
    """
    return HubNetwork.from_pretrained(str(repo_id), **options).network
