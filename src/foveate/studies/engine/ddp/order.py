"""What a process is told that trains a run together with others, and how it takes its part."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from torch import distributed, nn

from foveate.data import Data
from foveate.studies.engine.ddp.group import joined_group
from foveate.studies.engine.fitting import Machine, Parts, fit_run
from foveate.studies.engine.images import open_for
from foveate.studies.spec.study import RunSpec
from foveate.tasks.processes import Processes
from foveate.training.fit import Fitted, OnEpoch, OnStep

__all__ = ["Order"]


@dataclass(frozen=True)
class Order:
    """A run to be trained together.

    Attributes:
        spec: what is trained.
        folder: the folder of the run; every process can read it.
        machine: how; the same for all processes.
        parts: the images, by default those of `parts_of`.
        content: the fingerprint of the content of the images, which every process opens for itself.
    """

    spec: RunSpec
    folder: Path
    machine: Machine
    parts: Parts | None
    content: str

    def open_images(self) -> Data:
        """Open the images of the run; raises ImagesChangedError if they changed since."""
        return open_for(self.spec, self.content)

    def fit(
        self,
        data: Data,
        processes: Processes,
        store: distributed.Store,
        *,
        on_step: OnStep | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> tuple[nn.Module, Fitted]:
        """Train the run together with the processes that meet at `store`."""
        machine = self.machine
        with joined_group(processes, store, machine.device_of(processes)):
            return fit_run(
                self.spec,
                data,
                self.folder,
                machine,
                self.parts,
                processes,
                on_step=on_step,
                on_epoch=on_epoch,
            )

    def to_text(self) -> str:
        """Return the order as JSON, for processes on other machines."""
        parts = None if self.parts is None else [part.tolist() for part in self.parts]
        return json.dumps(
            {
                "spec": self.spec.model_dump(mode="json"),
                "folder": str(self.folder.resolve()),
                "machine": asdict(self.machine),
                "parts": parts,
                "content": self.content,
            }
        )

    @classmethod
    def from_text(cls, text: str) -> "Order":
        """Return the order that `to_text` wrote."""
        content = json.loads(text)
        found = content["parts"]
        return cls(
            RunSpec.model_validate(content["spec"]),
            Path(content["folder"]),
            Machine(**content["machine"]),
            None if found is None else Parts(*(np.array(part, dtype=np.int64) for part in found)),
            content["content"],
        )

    def of_peer(self) -> "Order":
        """Return the order for a process that is not the first, which keeps no log."""
        return replace(self, machine=replace(self.machine, logs="none"))
