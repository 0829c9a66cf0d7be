"""A trained network in each form in which it is deployed: its files, and what it answers in each of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from foveate.errors import WorkError
from foveate.inspection.deployment.calibration import Calibration
from foveate.inspection.images import ChosenImages
from foveate.inspection.trained import Trained
from foveate.models.export.build import Built, build, build_reduced
from foveate.models.export.precision import Precision
from foveate.models.export.runtimes import load_file
from foveate.models.sites.outputs import LOGITS
from foveate.records.deployment import EAGER, Form

__all__ = ["Answerer", "Deployed", "answers", "logits_of"]

BATCH = 64
Answerer = Callable[[Tensor], Tensor]
"""From normalised images (B, C, H, W) to logits (B, classes)."""


@dataclass(eq=False)
class Deployed:
    """One trained network; it is built, traced and quantised when that is first asked for.

    `calibrate` returns the images that int8 is calibrated with.
    """

    trained: Trained
    calibrate: Callable[[], Calibration]
    _network: nn.Module | None = None
    _built: Built | None = None
    _files: dict[str, bytes] = field(default_factory=dict)
    _calibration: Calibration | None = None

    @property
    def network(self) -> nn.Module:
        """The network in eager float32, on the CPU."""
        if self._network is None:
            self._network = self.trained.network(torch.device("cpu")).float()
        return self._network

    @property
    def built(self) -> Built:
        """Its ONNX file in float32."""
        if self._built is None:
            side = self.trained.input_size[-1]
            self._built = build(self.network, "onnx", image_size=side, output_names=[LOGITS])
        return self._built

    @property
    def calibration(self) -> Calibration:
        """The images that int8 is calibrated with."""
        if self._calibration is None:
            self._calibration = self.calibrate()
        return self._calibration

    def file(self, form: Form) -> bytes:
        """Return the content of its file in a form that is not torch's.

        Raises:
            RequestError: there is no image to calibrate with.
            WorkError: it cannot be exported or quantised, or its file does not agree with it.
        """
        name = f"{form.precision} {form.gates}"  # runtimes share files
        if name not in self._files:
            images = self.calibration.images if form.precision == "int8" else None
            precision = Precision(form.precision, images, form.gates == "int8")
            self._files[name] = build_reduced(self.built, precision).content
        return self._files[name]

    def release(self) -> None:
        """Free the network and its files; they are made again when they are asked for."""
        self._network, self._built, self._calibration = None, None, None
        self._files.clear()

    def answerer(self, form: Form) -> Answerer:
        """Return what answers in `form`."""
        if form == EAGER:
            return self.network
        run = load_file(form.runtime, self.file(form), [LOGITS], torch.get_num_threads())
        return lambda images: torch.from_numpy(run(images.numpy())[0])


def logits_of(answerer: Answerer, trained: Trained, images: ChosenImages) -> tuple[Tensor, Tensor]:
    """Return logits (N, classes) and labels (N,) of all of `images`, in their order.

    Raises:
        WorkError: the logits are not finite.
    """
    logits, labels = [], []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            some, of_some = images.read(images.rows[start : start + BATCH])
            logits.append(answerer(trained.normalise(some)).float())
            labels.append(of_some)
    found = torch.cat(logits)
    if not found.isfinite().all():
        raise WorkError("its answers are not finite")
    return found, torch.cat(labels)


def answers(answerer: Answerer, trained: Trained, images: ChosenImages) -> np.ndarray:
    """Return which of `images` are given their class, bool (N,)."""
    logits, labels = logits_of(answerer, trained, images)
    right: np.ndarray = (logits.argmax(dim=1) == labels).numpy()
    return right
