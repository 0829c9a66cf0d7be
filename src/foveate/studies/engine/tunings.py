"""How a study in a folder was tuned: compared with another, joined with it, and its candidates as tuned."""

from collections.abc import Iterable, Mapping, Sequence

from foveate.errors import RequestError
from foveate.notation import listing
from foveate.records.labels import BASELINE
from foveate.records.study import StudyRecord
from foveate.records.tuning import Tuning
from foveate.studies.spec.candidate import Candidate, read_candidate
from foveate.studies.spec.study import StudySpec
from foveate.studies.spec.tuning import Tune, tuned_candidate

__all__ = ["join_tunings", "recorded_candidate", "tune_setting"]


def tune_setting(study: StudySpec, record: StudyRecord) -> tuple[str, str, str]:
    """Return the name of the setting, and in words what the study of `record` and `study` tune."""
    there, own = record.tuning, study.tune
    return (
        "tune",
        "no trials" if there is None else _in_words(len(there.proposals), there.options),
        "no trials" if own is None else _in_words(own.trials, own.values),
    )


def _in_words(trials: int, options: Mapping[str, Iterable[str]]) -> str:
    varied = [f"{option}={','.join(values)}" for option, values in options.items()]
    return f"{trials} trials" + (f" with {listing(varied)}" if varied else "")


def recorded_candidate(record: StudyRecord, label: str, tune: Tune | None) -> Candidate | None:
    """Return the candidate of a label of a study, with the options that its trials chose.

    It is None if the label does not say how to build it.
    """
    if record.design.kind == "networks":
        return Candidate(name=BASELINE, backbone=label)
    try:
        found = read_candidate(label, identity_init=record.start is not None)
    except RequestError:
        return None
    if found.label != label:
        return None
    chosen = record.tuning and record.tuning.chosen(label)
    return tuned_candidate(found, tune, chosen) if tune and chosen else found


def join_tunings(there: Tuning | None, own: Tuning | None, labels: Sequence[str]) -> Tuning | None:
    """Return what the candidates of both studies got, in the order of `labels`; `own` counts first."""
    if there is None or own is None:
        return own
    tuned = {one.label: one for one in (*there.candidates, *own.candidates)}
    return own.model_copy(update={"candidates": tuple(tuned[one] for one in labels if one in tuned)})
