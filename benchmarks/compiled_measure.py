"""Compile networks in processes of their own, and measure them in turns with eager ones."""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from compiled_goals import Added, CompiledComparison, Figures
from compiled_networks import EAGER, Contender, Proof, as_compiled, make_contender, prove
from foveate.evaluation.compiling import room_for
from foveate.evaluation.timing import Turns, compare_latencies, median_interval, take_turns
from foveate.profiling.networks import refusals
from foveate.profiling.spec import ProfileSpec
from price_measure import ROUNDS, against
from price_networks import BASELINE, FOVEATE, Case

CACHE = "TORCHINDUCTOR_CACHE_DIR"


def in_new_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return work(*arguments), carried out in a new process; its exceptions are raised here."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def prove_alone(spec: ProfileSpec, contender: Contender, backend: str, folder: Path) -> Proof:
    """Prove a contender in this process, which has compiled nothing yet; `folder` keeps what is compiled."""
    os.environ[CACHE] = str(folder)
    torch.set_num_threads(spec.threads)
    with refusals(spec, " ".join(contender)):
        return prove(spec, contender, backend)


def take_turns_compiled(
    spec: ProfileSpec, contenders: Mapping[Contender, Path], backend: str
) -> tuple[Turns, list[Contender]]:
    """Time all contenders in turns, each compiled from what its folder keeps, in this process."""
    torch.set_num_threads(spec.threads)
    with room_for(len(contenders)), refusals(spec, "the networks"):
        steps = {}
        for contender, folder in contenders.items():
            os.environ[CACHE] = str(folder)
            step = make_contender(spec, contender, backend).step
            if contender.form != EAGER:
                with as_compiled(contender.form):
                    step()
            steps[", ".join(contender)] = step
        turns = take_turns(steps, spec.device, seconds=spec.seconds, rounds=ROUNDS)
    return turns, list(contenders)


def describe(
    case: Case, turns: Turns, contenders: Sequence[Contender], proofs: Mapping[Contender, Proof]
) -> CompiledComparison:
    """Return the figures of a comparison."""
    of = {one: ", ".join(one) for one in contenders}
    over_plain = against(turns, of[Contender(BASELINE, EAGER)])
    latencies = compare_latencies(turns)
    figures: list[Figures] = []
    for one in contenders:
        own = Contender(BASELINE, one.form)
        proof = proofs.get(one)
        added = _row(turns, of[one]) - _row(turns, of[own])
        eager = _row(turns, of[Contender(FOVEATE, EAGER)]) - _row(turns, of[Contender(BASELINE, EAGER)])
        compared = one.network == FOVEATE and one.form != EAGER
        figures.append(
            {
                "network": one.network,
                "form": one.form,
                "ms_p50": latencies[of[one]].p50,
                "over_plain": over_plain[of[one]],
                "over_of_form": against(turns, of[own])[of[one]],
                "adds": _added(added),
                "adds_more": _added(added - eager) if compared else None,
                "compile_seconds": proof.compile_seconds if proof else None,
                "off": proof.off if proof else None,
                "gradients_off": proof.gradients_off if proof else None,
            }
        )
    return {**case._asdict(), "rounds": turns.milliseconds.shape[1], "contenders": figures}  # type: ignore[typeddict-item]


def _row(turns: Turns, name: str) -> torch.Tensor:
    return turns.milliseconds[turns.names.index(name)]


def _added(milliseconds: torch.Tensor) -> Added:
    return {"median": milliseconds.median().item(), "interval": median_interval(milliseconds)}
