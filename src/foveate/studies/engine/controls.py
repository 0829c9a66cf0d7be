"""The cost-matched controls of a study, which show whether a gain is due to size alone."""

from pathlib import Path

from foveate.data import Data
from foveate.records.design import Contrast, Control, Growth
from foveate.records.file_names import STUDY
from foveate.records.files import read_record
from foveate.records.study import StudyRecord
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.matching import match_controls
from foveate.studies.spec.candidate import parse_candidates, read_candidate
from foveate.studies.spec.study import StudySpec

__all__ = ["match_controls", "with_controls"]


def with_controls(study: StudySpec, data: Data, out: Path, machine: Machine) -> StudySpec:
    """Return `study` with the controls that it asks for as candidates, and their planned comparisons.

    Controls that the study in `out` matched by latency before are taken from its record and stay the same.

    Raises:
        RequestError: the backbone cannot be made wider or deeper, or the study asks for pretrained weights.
    """
    if study.control is None:
        return study
    backbone = study.backbone_of(study.attention[0])
    known = _known_controls(study, data, out)
    unmatched = [candidate for candidate in study.attention if candidate.label not in known]
    found = match_controls(
        backbone,
        unmatched,
        study.control,
        classes=len(data.classes),
        channels=data.channels,
        image_size=data.image_size,
        device=machine.torch_device,
        grow=study.grow,
        replace_own=study.replace_own,
        dense=study.dense,
        input_size=data.input_shape[1:],
    )
    matched = known | {control.of: control for control in found}
    controls = tuple(control for one in study.attention if (control := matched.get(one.label)))
    own = {candidate.label for candidate in study.attention}
    labels = [*dict.fromkeys(control.label for control in controls if control.label not in own)]
    added = parse_candidates(labels) if labels else ()
    contrasts = tuple(
        Contrast(a=one.label, b=one.of, title=f"{one.of} at equal {one.measure}", group="controls")
        for one in controls
    )
    planned = study.design.contrasts and study.design.contrasts + contrasts
    design = study.design.model_copy(update={"controls": controls, "contrasts": planned})
    return study.model_copy(update={"attention": study.attention + added, "design": design})


def _known_controls(study: StudySpec, data: Data, out: Path) -> dict[str, Control | None]:
    """Return the recorded controls that were matched by latency; None for a candidate without a control.

    Controls that are matched by counts are computed again, with the same result.
    """
    path = out / STUDY
    if study.control != "latency" or not path.exists():
        return {}
    record = read_record(path, StudyRecord)
    before = record.backbone, record.data.channels, record.data.image_size, record.data.classes
    if before != (study.backbone, data.channels, data.image_size, tuple(data.classes)):
        return {}
    if record.dense != (study.dense.to_record() if study.dense else None):
        return {}
    known = {
        one.of: one
        for one in record.design.controls
        if one.measure == study.control and _growth_of(one) == study.grow
    }
    return {label: known.get(label) for label in record.attention} if known else {}


def _growth_of(control: Control) -> Growth:
    """Return how the backbone of a control was enlarged."""
    return "depth" if read_candidate(control.label).extra_blocks else "width"
