"""A LightningModule that trains a network by the steps of a task and averages its metrics over each epoch."""

import math
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from foveate.errors import NotFiniteError, WorkError, shortened
from foveate.tasks import TaskSteps
from foveate.tasks.processes import ALONE, Processes
from foveate.tasks.task import Batch, Step
from foveate.training.recipe import Recipe
from foveate.training.schedule import learning_rate_factor, make_optimizer

__all__ = ["TrainingModule"]

STEPS_BETWEEN_CHECKS = 50
CURE = "lower learning_rate, raise warmup_ratio, or set clip_grad_norm"


class TrainingModule(lightning.LightningModule):
    """Trains `network` by the steps of a task on batches of images and targets.

    Images are augmented and normalised by the steps, on the training device, with random numbers that depend
    only on seed, epoch and rank, so an interrupted training resumes to the same result. The sums of an epoch
    stay on the device until its end, so a step never waits for the device. A loss that is not finite is found
    within 2 × STEPS_BETWEEN_CHECKS steps: its flag is copied to the CPU without a wait. On a CPU it is found
    at once.
    """

    def __init__(
        self,
        network: nn.Module,
        steps: TaskSteps,
        recipe: Recipe,
        steps_per_epoch: int,
        seed: int,
        processes: Processes = ALONE,
    ):
        super().__init__()
        self.steps, self.processes = steps, processes
        self.network = network.to(memory_format=torch.channels_last) if recipe.channels_last else network
        self.average = (
            ModelEmaV3(self.network, decay=recipe.ema_decay, use_warmup=True) if recipe.ema_decay else None
        )
        if self.average is not None:
            self.average.requires_grad_(False)  # several processes wait for the gradient of each parameter
        self.recipe = recipe
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.random = torch.Generator()
        self.means: dict[str, float] = {}
        self._has_all_gradients = False
        if recipe.compile:
            torch.compiler.reset()  # networks of earlier runs count against its recompile limit
            self.network.compile()

    @property
    def evaluated(self) -> nn.Module:
        """The network that validation and test use: the averaged one if the recipe averages weights."""
        return self.average.module if self.average is not None else self.network

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the recipe's optimiser and its learning rate for each step."""
        optimizer = make_optimizer(self.network, self.recipe)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._factor(step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _factor(self, step: int) -> float:
        return learning_rate_factor(step, self.steps_per_epoch, self.recipe)

    def on_train_epoch_start(self) -> None:
        """Seed the epoch's random numbers from seed, epoch and rank, and reset its sums."""
        entropy = np.random.SeedSequence([self.seed, self.current_epoch, self.global_rank])
        state = int(entropy.generate_state(1)[0])
        self.random = torch.Generator(self.device).manual_seed(state)
        torch.manual_seed(state)  # for dropout, stochastic depth and the boxes that a detector samples
        self._losses, self._tally = self._zeros(), self.steps.tally()
        self._broken = torch.full((), -1, dtype=torch.long, device=self.device)
        self._broken_on_cpu = (
            torch.full((), -1, dtype=torch.long, pin_memory=True)
            if self.device.type == "cuda"
            else self._broken.cpu()  # on a CPU it is the flag itself
        )
        self._broken_seen = self._broken_on_cpu.numpy()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of the augmented batch."""
        step = self.steps.training_step(self.network, batch, self.random)
        loss = step.loss
        assert loss is not None
        with torch.no_grad():
            self._count(step)
            first = (self._broken < 0) & ~torch.isfinite(loss)
            self._broken.copy_(torch.where(first, index, self._broken))
        if (index + 1) % STEPS_BETWEEN_CHECKS == 0 and self.device.type != "cpu":
            self._broken_on_cpu.copy_(self._broken, non_blocking=True)
        self._refuse_broken_loss(int(self._broken_seen))
        return loss

    def _zeros(self) -> Tensor:
        """Return zero sums of loss and images, in double precision if the device has it."""
        return torch.zeros(2, dtype=None if self.device.type == "mps" else torch.float64, device=self.device)

    def _count(self, step: Step) -> None:
        if step.loss is not None:
            sums = torch.stack([step.loss.detach() * step.images, torch.full_like(step.loss, step.images)])
            self._losses += sums.to(self._losses)
        if step.outputs is not None:
            self._tally.add(step.outputs, step.targets)

    def _refuse_broken_loss(self, step: int) -> None:
        if step >= 0:
            rate = self.recipe.learning_rate * self._factor(self.current_epoch * self.steps_per_epoch + step)
            raise NotFiniteError(
                f"the loss is not a finite number at epoch {self.current_epoch + 1}, step {step + 1} of "
                f"{self.steps_per_epoch}, learning rate {rate:.3g}: {CURE}"
            )

    def on_after_backward(self) -> None:
        """In the first step of several processes, refuse a network that does not use all its parameters.

        Each process waits for the gradient of every parameter of the others.
        """
        if self.processes.count == 1 or self._has_all_gradients:
            return
        unused = [
            name
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad and parameter.grad is None
        ]
        if unused:
            raise WorkError(
                f"{len(unused)} parameters get no gradient in a training step ({shortened(unused)}), and "
                "several devices train only networks that use all of them: train on one device"
            )
        self._has_all_gradients = True

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step the optimiser, then update the averaged weights."""
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update(self.network, step=self.trainer.global_step)

    def on_train_epoch_end(self) -> None:
        """Log mean loss and primary metric of the epoch, as they were measured at each batch."""
        self._refuse_broken_loss(int(self._broken))
        self._log_means("train")

    def on_validation_epoch_start(self) -> None:
        """Set the sums of the training aside; every process evaluates the network of the first.

        Weights are the same everywhere; buffers, such as the running statistics of norms, are not.
        """
        self.processes.copy_from_first(self.network.buffers())
        if self.average is not None:
            self.processes.copy_from_first(self.average.buffers())
        self._of_training = self._losses, self._tally
        self._losses, self._tally = self._zeros(), self.steps.tally()

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add the loss, without smoothing, and the primary metric of the evaluated network."""
        self._count(self.steps.evaluation_step(self.evaluated, batch))

    def on_validation_epoch_end(self) -> None:
        """Log mean loss and primary metric over the validation part."""
        self._log_means("validation")
        self._losses, self._tally = self._of_training

    def _log_means(self, part: str) -> None:
        loss, images = self.processes.sum(self._losses).tolist()
        if not math.isfinite(loss):
            raise NotFiniteError(
                f"the {part} loss is not a finite number after epoch {self.current_epoch + 1}: {CURE}"
            )
        primary = self._tally.value(self.processes)
        means = {f"{part}_loss": loss / images} if images else {}
        if primary is not None:
            means[f"{part}_{self.steps.task.primary.name}"] = primary
        self.means |= means
        self.log_dict(means)
