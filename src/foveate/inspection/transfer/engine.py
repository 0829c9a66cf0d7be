"""`foveate transfer`: measure what networks that were trained on one set of images reach on another."""

from pathlib import Path

from foveate.data import Data
from foveate.errors import DiskError, RequestError, WorkError
from foveate.inspection.assessment import Assessment, assessment, examined_networks
from foveate.inspection.classifiers import check_classifiers
from foveate.inspection.examine import Work
from foveate.inspection.transfer.fine_tuning import check_attached
from foveate.inspection.transfer.measurements import Measurement, Measurements
from foveate.inspection.transfer.settings import TransferSettings
from foveate.records.base import FORMAT
from foveate.records.transfer import (
    TransferData,
    TransferRecord,
    TransferRow,
    TransferSettingsRecord,
    transfer_kind,
)
from foveate.studies.engine.fingerprints import describe_fingerprint
from foveate.version import __version__

__all__ = ["transfer"]


def transfer(work: Work, settings: TransferSettings) -> Path:
    """Transfer the networks of `work` to the images of `settings.to`; rows that were measured are read.

    direct: the network answers for the target's test images, in its own input size and preprocessing (see
    `direct_scores`). probe: a logistic regression on its features (see `linear_probe`). finetune: it is
    trained with a new head (see fine_tuning.py).

    A network that one of the ways does not fit is excluded from it, by name, and the others go on.

    Returns:
        the path of the record, transfer-NAME.json in the folder of `work`; fine-tuned runs lie in transfer/.

    Raises:
        RequestError: an invalid setting, no images, or no class with a match where direct answers were asked
            for.
    """
    settings.check()
    check_classifiers(work.trained, "foveate transfer", "it tests their classes on images of other sets")
    check_attached(work.trained, settings.mechanisms)
    work.on_progress(f"images of {settings.to}", 0, 1)
    measurements = Measurements(settings, work.folder, work.device, work.on_progress)
    data = measurements.data_for(work.trained[0])
    kind = transfer_kind(data.name)
    begun = TransferRecord(
        format=FORMAT,
        foveate=__version__,
        kind=kind,
        command=work.command,
        environment=work.environment,
        settings=_describe_settings(settings),
        data=_describe_data(data, settings.to),
        networks=examined_networks(work.trained),
    )
    matches = measurements.match_classes(work.trained, data)
    with assessment(work.folder / f"{kind}.json", begun) as record:
        for sentence in data.exclusions:
            record.exclude(sentence)
        for one in work.trained:
            for sentence in matches[one.classes].exclusions:
                record.exclude(sentence)
        asked = [row for one in work.trained for row in measurements.of(one, matches[one.classes].class_map)]
        for number, measurement in enumerate(asked):
            if record.find(measurement.key) is None:
                work.on_progress("transfer", number, len(asked), measurement.title)
                _measure(record, measurement)
    return record.path


def _describe_settings(settings: TransferSettings) -> TransferSettingsRecord:
    is_tuned = "finetune" in settings.how
    return TransferSettingsRecord(
        to=settings.to,
        how=settings.how,
        classes=None if settings.classes is None else str(settings.classes),
        attach=tuple(candidate.label for candidate in settings.mechanisms),
        recipe=settings.read_recipe().model_dump(mode="json") if is_tuned else settings.recipe,
        changes=settings.changes,
        images=settings.limit,
        train_fraction=settings.train_fraction,
        seeds=settings.seeds,
        batch_size=settings.batch_size,
        image_column=settings.image_column,
        label_column=settings.label_column,
    )


def _describe_data(data: Data, source: str) -> TransferData:
    return TransferData(
        name=data.name,
        source=source,
        classes=data.classes,
        train=len(data.train),
        test=len(data.test),
        **describe_fingerprint(data),
        notes=data.notes,
    )


def _measure(record: Assessment[TransferRow], measurement: Measurement) -> None:
    """Add the measured row to the record; a failure, but for a full disk, excludes this measurement alone."""
    try:
        record.add([measurement.measure()])
    except DiskError:
        raise
    except (RequestError, WorkError) as error:
        record.exclude(f"{measurement.title}: {error}")
