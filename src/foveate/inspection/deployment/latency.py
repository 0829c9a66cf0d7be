"""The latency of deployed networks: one image on one thread, in turns with torch."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from foveate.evaluation.step import inference_step
from foveate.evaluation.timing import OnRound, latency_beside, take_turns
from foveate.inspection.deployment.forms import Deployed
from foveate.inspection.trained import Trained
from foveate.models.export.runtimes import load_file
from foveate.models.sites.outputs import LOGITS
from foveate.records.deployment import EAGER, Form, LatencyKey, LatencyRow
from foveate.records.labels import BASELINE

__all__ = ["THREADS", "latency_keys", "measure_latency"]

THREADS = 1
"""Of torch and of the runtime: what an edge device gives to one network."""
ROUNDS = (11, 400)

Place = tuple[str, str]
"""The names of a network and of a form."""


def latency_keys(timed: Sequence[Trained], forms: Sequence[Form], processor: str) -> dict[Place, LatencyKey]:
    """Return the key of each network in each form; all of them take turns, and are measured together."""
    together = "\n".join(f"{one.digest} {form.to_json()}" for one in timed for form in forms)
    turns = hashlib.sha256(together.encode()).hexdigest()[:16]
    return {
        (one.name, form.name): LatencyKey(
            name=one.name,
            digest=one.digest,
            form=form,
            shape=(1, *one.input_size),
            threads=THREADS,
            processor=processor,
            turns=turns,
        )
        for one in timed
        for form in forms
    }


def measure_latency(
    deployed: Sequence[Deployed],
    forms: Sequence[Form],
    keys: Mapping[Place, LatencyKey],
    *,
    seconds: float,
    on_round: OnRound,
) -> list[LatencyRow]:
    """Time one image in each of `forms` of each network, in turns, with one thread."""
    names = {place: " ".join(place) for place in keys}
    with _threads(THREADS):
        steps = {names[one.trained.name, form.name]: _step(one, form) for one in deployed for form in forms}
        turns = take_turns(steps, torch.device("cpu"), seconds=seconds, rounds=ROUNDS, on_round=on_round)
    baseline = next((one.trained for one in deployed if one.trained.label == BASELINE), None)

    def row(one: Trained, form: Form) -> LatencyRow:
        name, eager = names[one.name, form.name], names[one.name, EAGER.name]
        beside = latency_beside(turns, name, eager)
        of_baseline = latency_beside(turns, name, names[baseline.name, form.name]) if baseline else None
        return LatencyRow(
            key=keys[one.name, form.name],
            label=one.label,
            seed=one.seed,
            p50=beside.p50,
            p95=beside.p95,
            eager_ratio=beside.ratio,
            eager_ratio_ci95=beside.interval,
            baseline_ratio=None if of_baseline is None else of_baseline.ratio,
            baseline_ratio_ci95=None if of_baseline is None else of_baseline.interval,
            rounds=turns.milliseconds.shape[1],
            cpu_share=turns.cpu_share,
        )

    return [row(one.trained, form) for one in deployed for form in forms]


def _step(one: Deployed, form: Form) -> Callable[[], object]:
    shape = (1, *one.trained.input_size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    if form == EAGER:
        return inference_step(one.network, images)
    return partial(load_file(form.runtime, one.file(form), [LOGITS], THREADS), images.numpy())


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch compute with `number` threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
