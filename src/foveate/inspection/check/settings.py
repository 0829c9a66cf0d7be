"""The settings of `foveate check`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from foveate.errors import RequestError
from foveate.inspection.check.promises import PROMISES, check_names
from foveate.records.labels import BASELINE
from foveate.studies.spec import completers
from foveate.studies.spec.completers import several_of
from foveate.training.machine import lightning_device

if TYPE_CHECKING:
    from foveate.studies.spec.candidate import Candidate

__all__ = ["CheckSettings", "read_module"]

MOST_CHANNELS = 1 << 14


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """On which maps a module is checked, and for what.

    Attributes:
        channels: Channels of the maps, separated by commas; slow promises are checked for the fewest alone.
        only: Promises to check, separated by commas; by default all of them, and the costs.
        device: Device to check on: auto, cpu, cuda, cuda:N or mps.
    """

    channels: tuple[int, ...] = (64,)
    only: Annotated[tuple[str, ...], Parameter(completer=several_of(PROMISES))] = ()
    device: completers.Device = "cpu"

    def check(self) -> None:
        """Raise RequestError for a value that cannot be used, naming it and the choices."""
        if not self.channels:
            raise RequestError("--channels names no number: expected for example 64 or 64,256")
        for count in self.channels:
            if not 1 <= count <= MOST_CHANNELS:
                raise RequestError(f"--channels {count}: expected numbers from 1 to {MOST_CHANNELS}")
        check_names(self.only)
        lightning_device(self.device)


def read_module(text: str) -> "Candidate":
    """Read the module of a command, a mechanism with its options; RequestError for what is no such."""
    from foveate.studies.spec.candidate import PLACEMENT, read_candidate
    from foveate.studies.spec.options import unknown_option

    candidate = read_candidate(text)
    if candidate.name == BASELINE:
        raise RequestError("check takes an attention module, and none is the network without one")
    placed = [key for key in PLACEMENT if key in candidate.model_fields_set]
    if placed:
        raise RequestError(f"{text} has {', '.join(placed)}: check looks at a module alone, without a place")
    if unknown := unknown_option(candidate):
        raise RequestError(unknown)
    return candidate
