"""`foveate transfer`: networks trained on one set of images, carried over to another."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foveate.errors import DiskError, RequestError, WorkError
from foveate.inspection.assessment import Assessment, assessment
from foveate.inspection.examine import Work
from foveate.inspection.transfer.fine_tuning import check_attached
from foveate.inspection.transfer.settings import TransferSettings
from foveate.inspection.transfer.tasks import Tasks, record_kind
from foveate.studies.engine.fingerprints import describe_fingerprint

__all__ = ["transfer"]


def transfer(work: Work, settings: TransferSettings) -> Path:
    """Carry the networks of `work` over to the images of `settings.to`; what was measured is only read.

    directly: the network answers for the target's test images, in its own size and preprocessing (see
    `direct_scores`). By a probe: a logistic regression on its features (see `linear_probe`). By fine-tuning:
    with a new head, trained on (see fine_tuning.py).

    A network that one of the ways does not fit is left out of it by name, and the rest goes on.

    Returns:
        the path of the record, transfer-NAME.json in the folder of `work`; fine-tuned runs lie in transfer/.

    Raises:
        RequestError: the settings cannot be, the images are not there, or no class has a match where direct
            answers were asked for.
    """
    settings.check()
    check_attached(work.trained, settings.mechanisms)
    work.on_progress(f"images of {settings.to}", 0, 1)
    asked = Tasks(settings, work.folder, work.device, work.on_progress)
    data = asked.data_for(work.trained[0])
    kind = record_kind(data)
    described = {
        "settings": settings.described(),
        "data": {
            "name": data.name,
            "source": settings.to,
            "classes": list(data.classes),
            "train": len(data.train),
            "test": len(data.test),
            **describe_fingerprint(data),
            "notes": list(data.notes),
        },
    }
    maps = asked.maps(work.trained, data)
    with assessment(work.folder, kind, work.trained, {**work.about, **described}) as record:
        for note in data.notes:
            if "left out" in note:
                record.say(left_out=note)
        for one in work.trained:
            for sentence in maps[one.classes][1]:
                record.say(left_out=sentence)
        tasks = [task for one in work.trained for task in asked.tasks(one, maps[one.classes][0])]
        for number, (title, key, measure) in enumerate(tasks):
            if record.find(key) is None:
                work.on_progress(title, number, len(tasks))
                _measure(record, title, key, measure)
    return record.path


def _measure(
    record: Assessment, title: str, key: Mapping[str, Any], measure: Callable[[], dict[str, Any]]
) -> None:
    try:
        record.add([(key, measure())])
    except DiskError:
        raise
    except (RequestError, WorkError) as error:
        record.say(left_out=f"{title}: {error}")
