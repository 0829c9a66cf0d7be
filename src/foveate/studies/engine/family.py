"""What a study tests and by which measure, where its folder was begun with something else."""

from pathlib import Path

from foveate.evaluation.significance import ALPHA, POWER
from foveate.records.design import Family
from foveate.records.file_names import STUDY
from foveate.records.files import read_record
from foveate.records.labels import BASELINE
from foveate.records.study import Statistics, StudyRecord
from foveate.studies.spec.defaults import FAMILY
from foveate.studies.spec.study import StudySpec

__all__ = ["statistics_of", "with_family"]


def with_family(study: StudySpec, out: Path) -> StudySpec:
    """Return `study` with the family that its design declares, for the folder `out`.

    A study that was begun in `out` keeps the family that it was begun with, unless another is asked for: what
    is tested should not change after results were seen. A study of foveate 0.1.0 declares none, and compares
    all pairs. A new study compares each candidate with the baseline; without a baseline, all pairs.
    """
    if study.design.kind != "compare":
        return study
    record = _begun_with(out)
    begun = record.design.family if record and record.design.kind == "compare" else None
    family: Family = study.family or begun or FAMILY
    if BASELINE not in [candidate.label for candidate in study.attention]:
        family = "all"
    return study.model_copy(update={"design": study.design.model_copy(update={"family": family})})


def statistics_of(study: StudySpec, out: Path) -> Statistics:
    """Return how the differences of `study` are tested, for its record in the folder `out`.

    A study that was begun in `out` keeps its margin and its population, unless others are asked for. What was
    never asked for is absent, and has its default.
    """
    record = _begun_with(out)
    begun = record.statistics if record else None
    margin = study.margin_of_metric if study.margin is not None else begun.margin if begun else None
    population = study.population or (begun.population if begun else None)
    asked = {"margin": margin, "population": population}
    return Statistics(
        adjust=study.adjust,
        alpha=ALPHA,
        power=POWER,
        **{name: value for name, value in asked.items() if value is not None},
    )


def _begun_with(out: Path) -> StudyRecord | None:
    path = out / STUDY
    return read_record(path, StudyRecord) if path.exists() else None
