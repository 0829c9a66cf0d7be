"""The energy of a profile's networks, or the sentence that says why the machine does not tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foveate.evaluation.energy import EnergyTurns, energy_beside, measure_energy
from foveate.evaluation.energy_counters import NoCounterError, find_counters
from foveate.evaluation.timing import Step, Turns
from foveate.profiling.runtimes import Session, baseline_sessions
from foveate.profiling.spec import ProfileSpec
from foveate.records.energy import EnergyAccount, EnergyFigures
from foveate.records.labels import BASELINE
from foveate.studies.engine.watch import OnProgress

__all__ = ["Energy", "measure_networks"]

ROUNDS = (11, 100)


@dataclass(frozen=True)
class Energy:
    """How energy was measured, and the figures by the networks' names in the turns; none where it was not."""

    account: EnergyAccount
    figures: dict[str, EnergyFigures] = field(default_factory=dict)


def measure_networks(
    spec: ProfileSpec,
    steps: Mapping[str, Step],
    sessions: Sequence[Session],
    turns: Turns,
    on_progress: OnProgress,
) -> Energy:
    """Count the energy of all `steps` in turns; `turns` are their times."""
    try:
        counters = find_counters(spec.device)
        measured = measure_energy(
            steps,
            dict(zip(turns.names, turns.milliseconds.median(dim=1).values.tolist(), strict=True)),
            counters,
            spec.device,
            seconds=spec.seconds,
            rounds=ROUNDS,
            on_round=lambda done, total: on_progress("counting energy, in turns", done, total),
        )
    except NoCounterError as error:
        return Energy(EnergyAccount(missing=str(error)))
    account = EnergyAccount(
        counter=counters.name,
        rounds=measured.joules.shape[1],
        window_seconds=counters.seconds,
        idle_watts=measured.idle_watts,
    )
    references = baseline_sessions(sessions)
    return Energy(
        account,
        {name: _figures(spec, measured, name, references.get(name, BASELINE)) for name in measured.names},
    )


def _figures(spec: ProfileSpec, measured: EnergyTurns, name: str, reference: str) -> EnergyFigures:
    index = measured.names.index(name)
    joules = 1000 / spec.batch_size * measured.joules.median(dim=1).values
    beside = energy_beside(measured, name, reference)
    return EnergyFigures(
        joules_per_1000_images=joules[index].item(),
        added_joules=(beside.ratio - 1) * joules[measured.names.index(reference)].item(),
        ratio=beside.ratio,
        ratio_quartiles=beside.quartiles,
        ratio_ci95=beside.interval,
        watts=measured.watts[index].median().item(),
        steps=measured.steps[index],
    )
