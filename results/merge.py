"""Joining of the slices of one study, which several machines ran."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from foveate.errors import RequestError
from foveate.records.base import Record
from foveate.records.file_names import COST, RESULT, RUNS, STUDY
from foveate.records.files import read_record, write_record
from foveate.records.study import StudyRecord

SAME_STUDY = ("data", "task", "dense", "backbone", "design", "pretrained", "weights_sha256", "recipe")
"""What slices of one study have in common, besides the ids of their runs."""


def merge_slices(slices: Sequence[Path], out: Path) -> tuple[int, int]:
    """Join slices of one study in `out`; return how many of its runs are finished, and how many there are.

    Slices are folders that `foveate compare` or benchmarks/on_gpu.py wrote, of the same images, network,
    recipe and mechanisms; seeds may differ. Of a run that several have finished, the first slice's counts.

    Raises:
        RequestError: a folder is no study, or one of another study.
    """
    studies = [read_record(folder / STUDY, StudyRecord) for folder in slices]
    first = studies[0]
    for folder, study in zip(slices[1:], studies[1:], strict=True):
        for key in SAME_STUDY:
            if _without_place(getattr(study, key)) != _without_place(getattr(first, key)):
                raise RequestError(f"{folder} is no slice of the study in {slices[0]}: its {key} is another")
    runs = {run.id: run for study in studies for run in study.runs}
    for folder in slices:
        for run in runs:
            source, target = folder / RUNS / run, out / RUNS / run
            if (source / RESULT).is_file() and not target.exists():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(".lock", "*.ckpt"))
    costs = [folder / COST for folder in slices if (folder / COST).is_file()]
    if costs:
        shutil.copy(costs[0], out / COST)
    joined = {
        "runs": tuple(runs.values()),
        "seeds": tuple(sorted({seed for study in studies for seed in study.seeds})),
        "attention": tuple(dict.fromkeys(label for study in studies for label in study.attention)),
        "failed": (),
    }
    write_record(out / STUDY, first.model_copy(update=joined))
    return sum((out / RUNS / run / RESULT).is_file() for run in runs), len(runs)


def _without_place(value: object) -> object:
    """Return `value` without the place of the images: the fingerprint says which they are."""
    if isinstance(value, Record):
        value = value.to_json()
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in ("source", "name")}
