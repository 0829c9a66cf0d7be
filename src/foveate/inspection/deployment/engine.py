"""`foveate deploy`: trained networks as they are deployed, beside themselves in eager float32."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from foveate.data import Data
from foveate.data.survey import spread
from foveate.errors import RequestError, WorkError
from foveate.evaluation.deployed import judge_drops
from foveate.inspection.assessment import Assessment, assessment, examined_networks
from foveate.inspection.classifiers import check_classifiers
from foveate.inspection.deployment.blame import find_blame
from foveate.inspection.deployment.calibration import calibration_of
from foveate.inspection.deployment.forms import Deployed, answers
from foveate.inspection.deployment.latency import THREADS, latency_keys, measure_latency
from foveate.inspection.deployment.settings import DeploymentSettings
from foveate.inspection.examine import Work
from foveate.inspection.images import ChosenImages, images_beside_test
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, assumed_order, open_images
from foveate.models.export.runtimes import require_runtime
from foveate.records.base import FORMAT
from foveate.records.deployment import (
    DEPLOYED,
    EAGER,
    AccuracyKey,
    AccuracyRow,
    BlameKey,
    DeployedData,
    DeployedRecord,
    DeployedRow,
    DeployedSettingsRecord,
    Form,
    pack_answers,
)
from foveate.records.labels import display_name, name_with_seed
from foveate.version import __version__

__all__ = ["deploy"]

DEFINITIONS = 1
"""The version of the definitions: rows of another version are measured again."""
BLAMED = "onnxruntime"
"""The runtime whose quantised files are searched for the layer to blame."""
BLAME_IMAGES = 500
"""The layer to blame is looked for on at most this many images, none of them a test image."""


def deploy(work: Work, settings: DeploymentSettings, others: OtherImages) -> Path:
    """Measure networks in eager float32 and as ONNX files; return the path of the record.

    Each form answers the test images of the runs, or of `others`, once. One network of each mechanism, the
    first, is timed. Where int8 loses more than the margin, and significantly, the network that loses most is
    searched for the layer that recovers most when it is left in float32, on images that no test is on.

    A network that cannot be exported is excluded by name, and the others go on.

    Raises:
        RequestError: invalid settings, networks that do not classify, or images that do not fit them.
    """
    for runtime in settings.runtime:
        require_runtime(runtime)
    trained, on_progress = work.trained, work.on_progress
    check_classifiers(trained, "foveate deploy", "it counts the images whose answer changes")
    data = open_images(trained, others.data, **others.columns)
    images = _test_images(data, settings.limit)
    forms = _forms(settings)
    begun = DeployedRecord(
        format=FORMAT,
        foveate=__version__,
        kind=DEPLOYED,
        command=work.command,
        environment=work.environment,
        settings=DeployedSettingsRecord(
            runtime=settings.runtime,
            precision=("fp32", *settings.precision),
            calibration_images=settings.calibration_images,
            quantise_gates=settings.quantise_gates,
            margin=settings.share,
            limit=settings.limit,
            threads=THREADS,
            seconds=settings.seconds,
        ),
        data=DeployedData(name=data.name, fingerprint=data.fingerprint, images=len(images)),
        networks=examined_networks(trained),
    )
    with assessment(work.folder / f"{DEPLOYED}.json", begun) as record:
        if assumed := assumed_order(trained, data.classes):
            record.warn(assumed)
        measured: list[Deployed] = []
        rows: list[AccuracyRow] = []
        for done, one in enumerate(trained):
            title = name_with_seed(one.label, one.seed)
            on_progress("answers", done, len(trained), title)
            deployed = Deployed(one, partial(calibration_of, one, data, settings.calibration_images))
            try:
                rows += _accuracies(deployed, forms, images, data, settings, record)
            except (RequestError, WorkError) as error:
                record.exclude(f"{one.name} ({display_name(one.label)}): {error}")
            else:
                measured.append(deployed)
            if one.label in [earlier.trained.label for earlier in measured if earlier is not deployed]:
                deployed.release()  # the first of each mechanism is timed
        on_progress("answers", len(trained), len(trained))
        _latencies(measured, forms, settings, record, work)
        _blame(measured, rows, forms, data, settings, record, work)
    return record.path


def _test_images(data: Data, limit: int | None) -> ChosenImages:
    rows = np.arange(len(data.test)) if limit is None else spread(data.test.labels, limit)
    return ChosenImages("test", data.test, rows, data.image_size)


def _forms(settings: DeploymentSettings) -> list[Form]:
    """Return eager float32, then the forms of each runtime."""
    forms = [EAGER]
    for runtime in dict.fromkeys(settings.runtime):
        for precision in dict.fromkeys(("fp32", *settings.precision)):
            own: dict[str, object] = {}
            if precision == "int8":
                gates = "int8" if settings.quantise_gates else "fp32"
                own = {"gates": gates, "calibration_images": settings.calibration_images}
            forms.append(Form.model_validate({"runtime": runtime, "precision": precision, **own}))
    return forms


def _accuracies(
    one: Deployed,
    forms: Sequence[Form],
    images: ChosenImages,
    data: Data,
    settings: DeploymentSettings,
    record: Assessment[DeployedRow],
) -> list[AccuracyRow]:
    """Return the rows of a network's answers, measured where the record does not have them."""
    found: list[AccuracyRow] = []
    for form in forms:
        key = AccuracyKey(
            name=one.trained.name,
            digest=one.trained.digest,
            form=form,
            data=data.fingerprint,
            limit=settings.limit,
            definitions=DEFINITIONS,
        )
        row = record.find(key)
        if row is None:
            eager = found[0].answers if found else None
            row = _accuracy(one, form, key, images, eager)
            record.add([row])
        assert isinstance(row, AccuracyRow)
        found.append(row)
    return found


def _accuracy(
    one: Deployed, form: Form, key: AccuracyKey, images: ChosenImages, eager: np.ndarray | None
) -> AccuracyRow:
    right = answers(one.answerer(form), one.trained, images)
    eager = right if eager is None else eager
    row = AccuracyRow(
        key=key,
        label=one.trained.label,
        seed=one.trained.seed,
        accuracy=float(right.mean()),
        images=len(right),
        lost=int((eager & ~right).sum()),
        gained=int((~eager & right).sum()),
        right=pack_answers(right),
    )
    if form == EAGER:
        return row
    more: dict[str, object] = {"bytes": len(one.file(form))}
    if form.precision == "int8":
        more["calibrated_with"] = one.calibration.about
    return row.model_copy(update=more)


def _latencies(
    deployed: Sequence[Deployed],
    forms: Sequence[Form],
    settings: DeploymentSettings,
    record: Assessment[DeployedRow],
    work: Work,
) -> None:
    """Add the latency of the first network of each mechanism, unless these have taken turns before."""
    first: dict[str, Deployed] = {}
    for one in deployed:
        first.setdefault(one.trained.label, one)
    timed = [*first.values()]
    keys = latency_keys([one.trained for one in timed], forms, work.environment.processor or "")
    found = [record.find(key) for key in keys.values()]
    if not timed or None not in found:
        return
    on_round = partial(work.on_progress, "timing, in turns")
    record.add(measure_latency(timed, forms, keys, seconds=settings.seconds, on_round=on_round))


def _blame(
    deployed: Sequence[Deployed],
    rows: Sequence[AccuracyRow],
    forms: Sequence[Form],
    data: Data,
    settings: DeploymentSettings,
    record: Assessment[DeployedRow],
    work: Work,
) -> None:
    """Look for the layer to blame in the network that loses most, of each mechanism that loses too much."""
    form = next((one for one in forms if (one.runtime, one.precision) == (BLAMED, "int8")), None)
    if form is None:
        return
    labels = dict.fromkeys(one.trained.label for one in deployed)
    of_form = [row for row in rows if row.key.form == form]
    eager = {row.key.name: row for row in rows if row.key.form == EAGER}
    drops = judge_drops(
        {
            label: [(eager[row.key.name].answers, row.answers) for row in of_form if row.label == label]
            for label in labels
        }
    )
    beyond = [label for label, drop in drops.items() if drop.is_beyond(settings.share)]
    for done, label in enumerate(beyond):
        worst = max((row for row in of_form if row.label == label), key=lambda row: row.lost - row.gained)
        one = next(one for one in deployed if one.trained.name == worst.key.name)
        _blame_one(one, form, data, record, partial(_report, work, done, len(beyond), label))


def _report(work: Work, done: int, total: int, label: str, share: float) -> None:
    work.on_progress("looking for the layer to blame", done + share, total, display_name(label))


def _blame_one(
    one: Deployed, form: Form, data: Data, record: Assessment[DeployedRow], on_share: "partial[None]"
) -> None:
    trained: Trained = one.trained
    key = BlameKey(
        name=trained.name,
        digest=trained.digest,
        form=form,
        data=data.fingerprint,
        images=BLAME_IMAGES,
        definitions=DEFINITIONS,
    )
    if record.find(key) is not None:
        return
    try:
        images = images_beside_test(trained, data, BLAME_IMAGES, "to look for the layer to blame")
        record.add([find_blame(one, form, images, key, on_share)])
    except (RequestError, WorkError) as error:
        record.exclude(f"{trained.name} ({display_name(trained.label)}), the layer to blame: {error}")
