"""Train one run in several processes."""

import torch
from torch import nn

from foveate.data import Data
from foveate.errors import RequestError, WorkError
from foveate.studies.engine.ddp.meeting import meeting
from foveate.studies.engine.ddp.order import Order
from foveate.studies.engine.ddp.peers import peers
from foveate.studies.engine.holding import Cancelled
from foveate.tasks.processes import Processes
from foveate.training.fit import Fitted, OnEpoch, OnStep

__all__ = ["fit_together"]


def fit_together(
    order: Order, data: Data, *, on_step: OnStep | None = None, on_epoch: OnEpoch | None = None
) -> tuple[nn.Module, Fitted]:
    """Train the run of `order` in all processes of its machine, of which this one is the first.

    On one machine the others are started here; on several, or in Ray Train, a scheduler has started them.

    Raises:
        WorkError: the training failed in one of them.
    """
    machine = order.machine
    if machine.nodes > 1 or machine.is_started:
        place = meeting(machine.devices, machine.nodes, placed=machine.elsewhere)
        run = place.announce(order)
        try:
            return order.fit(data, place.processes, run, on_step=on_step, on_epoch=on_epoch)
        except (WorkError, RequestError, Cancelled, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise place.why(run, error) from error
    with peers(order) as store:
        return order.fit(data, Processes(devices=machine.devices), store, on_step=on_step, on_epoch=on_epoch)
