"""`foveate explain`: score and draw where trained networks look, and draw the maps of their attention."""

from collections.abc import Iterator
from pathlib import Path

from foveate.errors import RequestError
from foveate.inspection.assessment import Assessment, assessment, examined_networks
from foveate.inspection.examine import Work
from foveate.inspection.explain.built import BuiltNetwork, build_network
from foveate.inspection.explain.classified import ClassifiedImages
from foveate.inspection.explain.dense.images import DenseImages
from foveate.inspection.explain.explained import Explained
from foveate.inspection.explain.pictures import remove_others
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained
from foveate.models.sites.target_layers import find_layer
from foveate.records.base import FORMAT
from foveate.records.examination import PictureRecord
from foveate.records.explain import EXPLAIN, ExplainRecord, ExplainRow
from foveate.records.labels import display_name, name_with_seed
from foveate.records.metric import CLASSIFICATION
from foveate.training.learned import learned_numbers
from foveate.version import __version__

__all__ = ["explain"]


def explain(work: Work, settings: ExplainSettings, others: OtherImages) -> Path:
    """Score the maps of every network on the same images, draw them, and return the path of the record.

    A network is scored once for the same weights, images and settings. The pictures show the first seed of
    each mechanism. A network that cannot be explained is excluded, by name. `others` replace the
    images of the runs.

    Raises:
        RequestError: an invalid setting, a layer that no network has, or no images.
    """
    settings.check()
    if settings.layer is not None:
        _check_layer(work, settings.layer)
    kind = ClassifiedImages if work.trained[0].task == CLASSIFICATION.name else DenseImages
    images: Explained = kind(work.trained, settings, others)
    begun = ExplainRecord(
        format=FORMAT,
        foveate=__version__,
        kind=EXPLAIN,
        command=work.command,
        environment=work.environment,
        settings=images.describe_settings(),
        data=images.describe_data(),
        networks=examined_networks(work.trained),
    )
    with assessment(work.folder / f"{EXPLAIN}.json", begun) as record:
        for sentence in images.warnings:
            record.warn(sentence)
        for sentence in images.excluded:
            record.exclude(sentence)
        first = _first_seeds(work.trained)
        pictures: list[PictureRecord] = []
        for number, built in _build(work, settings, images, record):
            try:
                _score(number, built, images, record, work)
                if built.trained.name in first:
                    images.add_column(built)
                    if own := images.draw_own_maps(work.folder, built):
                        pictures.append(own)
            except RequestError as error:
                _exclude(record, built.trained, error)
        if grid := images.draw_grid(work.folder):
            pictures.insert(0, grid)
        record.change(pictures=tuple(pictures))
        remove_others(work.folder, pictures)
    return record.path


def _check_layer(work: Work, layer: str) -> None:
    """Raise RequestError if no network has the layer; one without it among others is excluded by name."""
    refused: list[RequestError] = []
    for one in work.trained:
        try:
            find_layer(one.network(work.device), layer)
        except RequestError as error:
            refused.append(error)
        else:
            return
    if refused:
        raise refused[0]


def _first_seeds(trained: list[Trained]) -> set[str]:
    """Return the names of the networks that are drawn: for each label the one with the smallest seed."""
    first: dict[str, Trained] = {}
    for one in trained:
        if one.label not in first or (one.seed or 0) < (first[one.label].seed or 0):
            first[one.label] = one
    return {one.name for one in first.values()}


def _build(
    work: Work, settings: ExplainSettings, images: Explained, record: Assessment[ExplainRow]
) -> Iterator[tuple[int, BuiltNetwork]]:
    """Build one network at a time, and give its place; one without the requested layer is excluded."""
    for number, one in enumerate(work.trained):
        try:
            built = build_network(one, settings.layer, images.example, work.device)
        except RequestError as error:
            _exclude(record, one, error)
        else:
            yield number, built


def _score(
    number: int, built: BuiltNetwork, images: Explained, record: Assessment[ExplainRow], work: Work
) -> None:
    """Add the row of the network at place `number` to the record, unless it was measured before."""
    one, key = built.trained, images.key(built)
    if record.find(key) is not None:
        return
    title = name_with_seed(one.label, one.seed)

    def on_progress(done: int) -> None:
        work.on_progress("maps", number + done / len(images), len(work.trained), title)

    on_progress(0)
    measured = images.score(built, on_progress)
    row = ExplainRow(
        key=key,
        label=one.label,
        seed=one.seed,
        backbone=one.backbone,
        layer=built.layer,
        scores=dict(measured.scores),
        learned=learned_numbers(built.network),
    )
    record.add([row if measured.found is None else row.model_copy(update={"found": measured.found})])


def _exclude(record: Assessment[ExplainRow], one: Trained, error: RequestError) -> None:
    record.exclude(f"{one.name} ({display_name(one.label)}): {error}")
