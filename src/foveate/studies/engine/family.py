"""The comparisons of a study in which none was planned: with the baseline only, or all pairs."""

from pathlib import Path

from foveate.records.design import Family
from foveate.records.file_names import STUDY
from foveate.records.files import read_record
from foveate.records.labels import BASELINE
from foveate.records.study import StudyRecord
from foveate.studies.spec.defaults import FAMILY
from foveate.studies.spec.study import StudySpec

__all__ = ["with_family"]


def with_family(study: StudySpec, out: Path) -> StudySpec:
    """Return `study` with the family that its design declares, for the folder `out`.

    A study that was begun in `out` keeps the family that it was begun with, unless another is asked for: what
    is tested should not change after results were seen. A study of foveate 0.1.0 declares none, and compares
    all pairs. A new study compares each candidate with the baseline; without a baseline, all pairs.
    """
    if study.design.kind != "compare":
        return study
    family = study.family or _begun_with(out) or FAMILY
    if BASELINE not in [candidate.label for candidate in study.attention]:
        family = "all"
    return study.model_copy(update={"design": study.design.model_copy(update={"family": family})})


def _begun_with(out: Path) -> Family | None:
    path = out / STUDY
    if not path.exists():
        return None
    design = read_record(path, StudyRecord).design
    return design.family if design.kind == "compare" else None
