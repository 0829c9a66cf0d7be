"""`foveate check`: judge every promise of the contract on a module, from small inputs to large."""

import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from foveate.errors import RequestError
from foveate.inspection.check import (
    copies,
    independence,
    learning,
    magnitudes,
    maps,
    parallel,
    programs,
)
from foveate.inspection.check.figures import figures, figures_shape
from foveate.inspection.check.promises import PROMISES, check_names
from foveate.inspection.check.subject import Broken, Factory, NotApplicable, Outcome, Subject, short
from foveate.inspection.check.watch import watched
from foveate.records.base import FORMAT
from foveate.records.check import CheckRecord, PromiseRow
from foveate.studies.engine.environment import available_cores, command_line, describe_environment
from foveate.studies.engine.watch import OnProgress
from foveate.version import __version__

__all__ = ["JUDGES", "check", "judge"]

Judge = Callable[[Subject], Outcome]

JUDGES: dict[str, Judge] = {
    "shape": maps.shape,
    "odd_maps": maps.odd_maps,
    "batch_of_one": maps.batch_of_one,
    "dtype": maps.dtype,
    "device": maps.device,
    "memory_format": maps.memory_format,
    "channels_last": maps.channels_last,
    "batch_independent": independence.batch_independent,
    "deterministic": independence.deterministic,
    "input_unchanged": independence.input_unchanged,
    "in_torch": independence.in_torch,
    "gradients": learning.gradients,
    "gradcheck": learning.gradcheck,
    "bounded": magnitudes.bounded,
    "finite_full": magnitudes.finite_full,
    "finite_bfloat16": magnitudes.finite_bfloat16,
    "finite_float16": magnitudes.finite_float16,
    "finite_autocast": magnitudes.finite_autocast,
    "identity": learning.identity,
    "checkpointing": learning.checkpointing,
    "deepcopy": copies.deepcopy,
    "pickle": copies.pickled,
    "state_dict": copies.state_dict,
    "compile": programs.compiled,
    "export": programs.exported,
    "onnx": programs.onnx,
    "parallel": parallel.parallel,
}
WITHOUT_A_MAP = ("shape", "device")
"""These say what is wrong with a module that takes no map at all; the others have nothing to run on."""


def check(
    factory: Factory,
    label: str,
    channels: Sequence[int] = (64,),
    *,
    only: Collection[str] = (),
    device: torch.device | str = "cpu",
    on_progress: OnProgress = lambda *_: None,
) -> CheckRecord:
    """Check every promise on the modules that `factory` builds, and count and time their costs.

    Args:
        factory: builds the module for maps of so many channels.
        label: what the module is called.
        channels: channels of the maps, of which the smallest that break a promise are named.
        only: names of promises; by default all of them are checked, and the costs measured.
        device: where the module runs.
        on_progress: is told of the progress.

    Raises:
        RequestError: an unknown promise, or a module that cannot be built (unless a CUDA call is the reason).
    """
    check_names(only)
    device = torch.device(device)
    subjects = [Subject(factory, count, device) for count in sorted(set(channels))]
    for subject in subjects:
        _check_built(subject, label)
    chosen = [name for name in PROMISES if not only or name in only]
    rows = []
    for done, name in enumerate(chosen):
        on_progress("checking promises", done, len(chosen), PROMISES[name].title)
        rows.append(_row(name, subjects[:1] if PROMISES[name].is_slow else subjects))
    record = CheckRecord(
        format=FORMAT,
        foveate=__version__,
        module=label,
        channels=tuple(subject.channels for subject in subjects),
        device=str(device),
        command=command_line(),
        environment=describe_environment(device, min(torch.get_num_threads(), available_cores())),
        promises=tuple(rows),
    )
    if only or _unfit(subjects[0]):
        return record
    with _quietly():
        measured = figures(subjects[0], label, partial(on_progress, "timing, in turns"))
    return record.model_copy(update={"figures": measured, "figures_input": figures_shape(subjects[0])})


def judge(name: str, subject: Subject) -> Outcome:
    """Return the outcome of one promise; an error in it is what broke it."""
    with _quietly():
        try:
            if name not in WITHOUT_A_MAP and (why := _unfit(subject)):
                return NotApplicable(why)
            return JUDGES[name](subject)
        except Exception as error:
            made = watched(subject.build)
            given = "constructing it" if made.error else "a forward pass"
            return Broken(given, short(error), made.first("CUDA call inside"))


@contextmanager
def _quietly() -> Iterator[None]:
    """Ignore warnings within the block: the module gives the same ones at each of many calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_built(subject: Subject, label: str) -> None:
    """Raise RequestError for a module that cannot be built; one that calls CUDA is judged instead."""
    with _quietly():
        made = watched(subject.build)
    if made.error is None or made.first("CUDA call inside"):
        return
    if isinstance(made.error, RequestError):
        raise made.error
    what = f"{label} cannot be built for {subject.channels} channels"
    raise RequestError(f"{what}: {short(made.error)}") from made.error


def _unfit(subject: Subject) -> str:
    """Return why nothing can be run; "" if the module takes a map of any size."""
    return "" if subject.sizes else "it took no map of the sizes tried (see the first row)"


def _row(name: str, subjects: Sequence[Subject]) -> PromiseRow:
    """Judge a promise from few channels to many, up to the first that break it."""
    promise, started = PROMISES[name], time.perf_counter()
    outcome: Outcome = None
    for subject in subjects:
        outcome = judge(name, subject)
        if outcome is not None:
            break
    row = PromiseRow(
        promise=name,
        title=promise.title,
        needed_for=promise.needed_for,
        verdict="kept",
        seconds=round(time.perf_counter() - started, 3),
    )
    if isinstance(outcome, NotApplicable):
        return row.model_copy(update={"verdict": "not applicable", "why_not": outcome.why})
    if isinstance(outcome, Broken):
        mistake = outcome.mistake
        update = {
            "verdict": "broken",
            "input": outcome.given,
            "found": outcome.found,
            "cause": mistake.cause if mistake else None,
            "place": (mistake.place or None) if mistake else None,
        }
        return row.model_copy(update=update)
    return row
