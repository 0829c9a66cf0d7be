"""`foveate explain`: score and draw where trained networks look, and draw the maps of their attention."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from foveate.errors import RequestError
from foveate.evaluation.attention_scores import VIEWS, tolerance_of
from foveate.evaluation.road import SHARES
from foveate.inspection.assessment import Assessment, assessment, examined_networks
from foveate.inspection.examine import Work
from foveate.inspection.explain.built import BuiltNetwork, build_network
from foveate.inspection.explain.pictures import (
    GridColumn,
    draw_grid,
    draw_own_maps,
    make_column,
    remove_others,
)
from foveate.inspection.explain.scores import score_maps
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.explain.subjects import Subjects, find_subjects
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, assumed_order
from foveate.models.sites.target_layers import find_layer
from foveate.records.base import FORMAT
from foveate.records.examination import PictureRecord
from foveate.records.explain import (
    EXPLAIN,
    ExplainData,
    ExplainKey,
    ExplainRecord,
    ExplainRow,
    ExplainSettingsRecord,
)
from foveate.records.labels import display_name, name_with_seed
from foveate.training.learned import learned_numbers
from foveate.version import __version__

__all__ = ["explain"]

DEFINITIONS = 2
"""The version of the definitions of the scores: rows of another version are measured again."""


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
    subjects = find_subjects(work.trained, settings, others)
    begun = ExplainRecord(
        format=FORMAT,
        foveate=__version__,
        kind=EXPLAIN,
        command=work.command,
        environment=work.environment,
        settings=_describe_settings(settings, subjects),
        data=_describe_data(subjects),
        networks=examined_networks(work.trained),
    )
    with assessment(work.folder / f"{EXPLAIN}.json", begun) as record:
        for warning in (assumed_order(work.trained, subjects.classes), subjects.regions.describe()):
            if warning:
                record.warn(warning)
        for sentence in subjects.left_out:
            record.exclude(sentence)
        drawn = subjects.sample(settings.show)
        first = _first_seeds(work.trained)
        columns: list[GridColumn] = []
        pictures: list[PictureRecord] = []
        for number, built in _build(work, settings, subjects, record):
            try:
                _score(number, built, settings, subjects, record, work)
                if built.trained.name in first:
                    columns.append(make_column(built, subjects, drawn, settings.method, settings.batch_size))
                    if own := draw_own_maps(work.folder, built, subjects, int(drawn[0])):
                        pictures.append(own)
            except RequestError as error:
                _exclude(record, built.trained, error)
        if columns:
            pictures.insert(0, draw_grid(work.folder, columns, subjects, drawn))
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


def _describe_settings(settings: ExplainSettings, subjects: Subjects) -> ExplainSettingsRecord:
    return ExplainSettingsRecord(
        method=settings.method,
        layer=settings.layer,
        road_images=min(settings.road, len(subjects)),
        road_shares=SHARES,
        views=tuple(view.name for view in VIEWS),
        pointing_tolerance=tolerance_of(subjects.image_size, subjects.image_size),
        batch_size=settings.batch_size,
    )


def _describe_data(subjects: Subjects) -> ExplainData:
    return ExplainData(
        about=subjects.about,
        fingerprint=subjects.fingerprint,
        images=len(subjects),
        with_object=sum(name in subjects.regions for name in subjects.names),
        left_out=len(subjects.left_out),
    )


def _first_seeds(trained: list[Trained]) -> set[str]:
    """Return the names of the networks that are drawn: for each label the one with the smallest seed."""
    first: dict[str, Trained] = {}
    for one in trained:
        if one.label not in first or (one.seed or 0) < (first[one.label].seed or 0):
            first[one.label] = one
    return {one.name for one in first.values()}


def _build(
    work: Work, settings: ExplainSettings, subjects: Subjects, record: Assessment[ExplainRow]
) -> Iterator[tuple[int, BuiltNetwork]]:
    """Build one network at a time, and give its place; one without the requested layer is excluded."""
    example = subjects.images(np.array([0]))
    for number, one in enumerate(work.trained):
        try:
            built = build_network(one, settings.layer, example, work.device)
        except RequestError as error:
            _exclude(record, one, error)
        else:
            yield number, built


def _score(
    number: int,
    built: BuiltNetwork,
    settings: ExplainSettings,
    subjects: Subjects,
    record: Assessment[ExplainRow],
    work: Work,
) -> None:
    """Add the row of the network at place `number` to the record, unless it was measured before."""
    one = built.trained
    key = ExplainKey(
        digest=one.digest,
        name=one.name,
        backbone=one.backbone,
        method=settings.method,
        layer=built.layer,
        images=subjects.fingerprint,
        limit=settings.limit,
        road=settings.road,
        batch_size=settings.batch_size,
        definitions=DEFINITIONS,
    )
    if record.find(key) is not None:
        return
    title = name_with_seed(one.label, one.seed)

    def on_progress(done: int) -> None:
        work.on_progress("maps", number + done / len(subjects), len(work.trained), title)

    on_progress(0)
    row = ExplainRow(
        key=key,
        label=one.label,
        seed=one.seed,
        backbone=one.backbone,
        layer=built.layer,
        scores=score_maps(built, subjects, settings, on_progress),
        learned=learned_numbers(built.network),
    )
    record.add([row])


def _exclude(record: Assessment[ExplainRow], one: Trained, error: RequestError) -> None:
    record.exclude(f"{one.name} ({display_name(one.label)}): {error}")
