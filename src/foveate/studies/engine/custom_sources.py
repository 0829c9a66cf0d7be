"""The source code of the mechanisms of a study that are a person's own."""

from foveate.errors import RequestError
from foveate.known_names import reference_of
from foveate.records.study import CustomSource
from foveate.references import read_sources
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.study import StudySpec

__all__ = ["custom_sources"]


def custom_sources(study: StudySpec) -> tuple[CustomSource, ...]:
    """Return the source code of each class of a person's own, once.

    Raises:
        RequestError: a file was changed since the command read it.
    """
    own = {candidate.name: candidate for candidate in study.attention if candidate.is_custom}
    return tuple(_source(candidate) for candidate in own.values())


def _source(candidate: Candidate) -> CustomSource:
    reference = reference_of(candidate.mechanism)
    assert reference is not None
    sources = read_sources(reference)
    if sources.digest != candidate.source:
        raise RequestError(
            f"the source of {candidate.name} was changed while the command started: give it again"
        )
    return CustomSource(
        mechanism=candidate.name, digest=sources.digest, main=sources.main, files=dict(sources.files)
    )
