"""`foveate explain --gates`: measure what each gate of trained attention is worth."""

from pathlib import Path

import torch

from foveate.data import Data
from foveate.errors import RequestError
from foveate.evaluation.gate_statistics import GateStatistics
from foveate.inspection.assessment import Assessment, assessment, examined_networks
from foveate.inspection.classifiers import check_classifiers
from foveate.inspection.examine import Work
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.gates.images import answered_images, mean_images
from foveate.inspection.gates.measure import Measured, collect_statistics, measure_replacements
from foveate.inspection.gates.settings import GateSettings
from foveate.inspection.images import ChosenImages
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, assumed_order, open_images
from foveate.models.sites.capture import attention_names
from foveate.models.sites.gates import FoundGates, Gate, find_gates
from foveate.notation import count, listing
from foveate.records.base import FORMAT
from foveate.records.gates import (
    GATES,
    GateRow,
    GatesData,
    GatesKey,
    GatesRecord,
    GatesSettingsRecord,
    SiteGate,
)
from foveate.records.labels import display_name, name_with_seed
from foveate.version import __version__

__all__ = ["examine_gates"]

DEFINITIONS = 1
"""The version of the definitions: rows of another version are measured again."""
TRIED = 4
"""The number of images on which it is tested whether a module has a gate."""


def examine_gates(work: Work, settings: GateSettings, maps: ExplainSettings, others: OtherImages) -> Path:
    """Measure the gates of every network that has attention, and return the path of the record.

    The test images are those of the runs, or of `others`; `maps` gives their largest number and the size of
    batches. A network is measured once for the same weights and images. Networks without attention are not
    examined; a network none of whose sites has a gate is excluded by name.

    Raises:
        RequestError: no network has attention, or the images do not fit the networks.
    """
    settings.check(maps)
    maps.check()
    check_classifiers(work.trained, "--gates", "it measures how many answers change without a gate")
    trained = [one for one in work.trained if one.mechanisms]
    if not trained:
        raise RequestError(
            f"{listing([one.name for one in work.trained])} {'has' if len(work.trained) == 1 else 'have'} no "
            "attention, and so no gates: give networks that foveate put attention into"
        )
    data = open_images(work.trained, others.data, **others.columns)
    images = answered_images(data, maps.limit)
    begun = GatesRecord(
        format=FORMAT,
        foveate=__version__,
        kind=GATES,
        command=work.command,
        environment=work.environment,
        settings=GatesSettingsRecord(margin=settings.share, limit=maps.limit, batch_size=maps.batch_size),
        data=GatesData(
            about=f"{len(images):,} of the {len(data.test):,} test images of {data.name}",
            fingerprint=data.fingerprint,
            images=len(images),
        ),
        networks=examined_networks(trained),
    )
    with assessment(work.folder / f"{GATES}.json", begun) as record:
        if warning := assumed_order(trained, data.classes):
            record.warn(warning)
        if len(images) == 1:
            record.warn("There is one test image: no gate could be replaced by that of another image.")
        for number, one in enumerate(trained):
            try:
                _examine(one, number, len(trained), data, images, maps, record, work)
            except RequestError as error:
                record.exclude(f"{one.name} ({display_name(one.label)}): {error}")
    return record.path


def _examine(
    one: Trained,
    number: int,
    total: int,
    data: Data,
    images: ChosenImages,
    maps: ExplainSettings,
    record: Assessment[GateRow],
    work: Work,
) -> None:
    """Add the row of one network to the record, unless it was measured before."""
    key = GatesKey(
        digest=one.digest,
        name=one.name,
        backbone=one.backbone,
        images=data.fingerprint,
        limit=maps.limit,
        batch_size=maps.batch_size,
        definitions=DEFINITIONS,
    )
    title = name_with_seed(one.label, one.seed)

    def prepare(some: torch.Tensor) -> torch.Tensor:
        return one.normalise(some.to(work.device))

    def on_share(share: float) -> None:
        work.on_progress(GATES, number + share, total, title)

    network, averaged = one.network(work.device), mean_images(one, data, maps.limit)
    found = find_gates(network, prepare(averaged.read(averaged.rows[:TRIED])[0]))
    _exclude(one, found, attention_names(network), record)
    if not found.gates or record.find(key) is not None:
        return
    on_share(0)
    statistics = collect_statistics(network, found.gates, averaged, prepare, maps.batch_size)
    measured = measure_replacements(
        network,
        {gate: one.means() for gate, one in statistics.items()},
        images,
        prepare,
        maps.batch_size,
        on_share,
    )
    row = GateRow(
        key=key,
        label=one.label,
        seed=one.seed,
        backbone=one.backbone,
        accuracy=measured.accuracy,
        images=len(images),
        means_of=averaged.part,
        mean_images=len(averaged),
        gates=_describe_gates(measured, statistics, attention_names(network)),
        together=measured.together,
    )
    record.add([row])


def _describe_gates(
    measured: Measured, statistics: dict[Gate, GateStatistics], names: dict[str, str]
) -> tuple[SiteGate, ...]:
    gates = []
    for gate, scores in measured.alone.items():
        varies = statistics[gate].variance()
        gates.append(
            SiteGate(
                site=names[gate.site],
                path=gate.site,
                factor=gate.factor,
                mean=varies.mean,
                between_images=varies.between_images,
                share=varies.share,
                channel_share=varies.channel_share,
                spatial_share=varies.spatial_share,
                replaced=scores,
            )
        )
    return tuple(gates)


def _exclude(one: Trained, found: FoundGates, names: dict[str, str], record: Assessment[GateRow]) -> None:
    """Record the sites of a network that have no gate, those with the same reason in one sentence."""
    by_reason: dict[str, list[str]] = {}
    for site, reason in found.excluded.items():
        by_reason.setdefault(reason, []).append(names[site])
    for reason, sites in by_reason.items():
        record.exclude(
            f"{one.name} ({display_name(one.label)}), {count(len(sites), 'site')} "
            f"({listing(sites)}): {reason}."
        )
