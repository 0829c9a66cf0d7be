"""What a study does in a folder that holds one: it joins it, or it is another study and is told so."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from foveate.data import Data
from foveate.errors import RequestError
from foveate.notation import count, listing
from foveate.records.dense import DenseRecord
from foveate.records.design import Design
from foveate.records.file_names import RESULT, RUNS, STUDY
from foveate.records.files import read_record
from foveate.records.study import PlannedRun, StudyRecord
from foveate.studies.engine.fingerprints import under
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.folder import has_report_of, refuse_unusable_folder
from foveate.studies.engine.images import open_study
from foveate.studies.engine.looks import plan_conflict
from foveate.studies.engine.start import with_weights
from foveate.studies.engine.tunings import join_tunings, recorded_candidate, tune_setting
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.study import StudySpec
from foveate.tasks import find_task

__all__ = [
    "Joined",
    "begun_study",
    "choose_folder",
    "difference",
    "join",
    "refuse_other_study",
]

Item = TypeVar("Item")


@dataclass(frozen=True)
class Joined:
    """A study together with the one in its folder.

    Attributes:
        study: the candidates, seeds and comparisons of both.
        earlier: runs of the study in the folder that were not asked for again; they stay in the study.
        is_changed: whether the report will be another than that of the study in the folder.
        note: what is joined, in a sentence; "" where the same study is asked for again.
        changed: candidates of a person's own whose source code is another than in the folder.
    """

    study: StudySpec
    earlier: tuple[PlannedRun, ...] = ()
    is_changed: bool = False
    note: str = ""
    changed: tuple[str, ...] = ()


def begun_study(out: Path) -> StudyRecord | None:
    """Return the record of the study in `out`; None if there is none, or nothing of it to keep.

    A study of which no run has finished can be replaced: its checkpoints stay where they are.
    """
    path = out / STUDY
    if not path.is_file() or not (any(out.glob(f"{RUNS}/*/{RESULT}")) or has_report_of(out)):
        return None
    return read_record(path, StudyRecord)


def choose_folder(
    study: StudySpec, default: Path, machine: Machine, watch: Watch, *, searches: bool = False
) -> tuple[Path, Data | None]:
    """Return the folder for a study that names none, and its images if they were opened for that.

    That is `default`, unless it holds another study, and else default-2, default-3 and so on: the first that
    is free, or that the study can join.
    """
    data: Data | None = None
    for number in itertools.count(1):
        place = default if number == 1 else default.with_name(f"{default.name}-{number}")
        refuse_unusable_folder(place)
        record = begun_study(place)
        why = record and difference(study, record, searches=searches)
        if record and not why:
            study = with_weights(study, watch)
            data = data or open_study(study, place, machine, watch)
            why = difference(study, record, data, searches=searches)
        if not why:
            if number > 1:
                watch.note(f"This study goes to {place}.")
            return place, data
        watch.note(f"{place} holds another study: {why}. It stays as it is.")
    raise AssertionError("a folder was found")


def refuse_other_study(
    study: StudySpec, out: Path, data: Data | None = None, *, searches: bool = False
) -> StudyRecord | None:
    """Return the record of the study in `out` that `study` joins; None if there is nothing to join.

    Raises:
        RequestError: `out` holds another study.
    """
    record = begun_study(out)
    if record and (why := difference(study, record, data, searches=searches)):
        raise RequestError(
            f"{out} holds another study: {why}. Its runs and its report stay as they are: give another --out"
        )
    return record


def difference(
    study: StudySpec, record: StudyRecord, data: Data | None = None, *, searches: bool = False
) -> str | None:
    """Return in words why `study` cannot join the study of `record`; None if it can.

    Studies can be joined if their runs differ in candidates and seeds alone, and if the comparisons of one
    were not planned without the other. The images are compared if `data` are given.
    """
    changes = [f"{what} {old} instead of {new}" for what, old, new in _settings(study, record) if old != new]
    recipe = study.recipe.model_dump(mode="json")
    changes += [
        f"{key} {record.recipe.get(key)} instead of {recipe.get(key)}"
        for key in [*recipe, *(record.recipe.keys() - recipe.keys())]
        if record.recipe.get(key) != recipe.get(key)
    ]
    if data is not None:
        found = record.data
        if under(data, found.fingerprint, found.content_fingerprint) is None:
            changes.append(f"it is of other images ({found.name}), or of these before they were changed")
        elif found.image_size != data.image_size:
            changes.append(f"images of {found.image_size} instead of {data.image_size} pixels")
    if not changes and (conflict := plan_conflict(study, record)):
        changes.append(conflict)
    if not changes and not _can_plan_together(study, record.design, searches=searches):
        changes.append("it plans other comparisons")
    unnamed = [label for label in _others(study, record) if record.source_of(label)]
    if not changes and unnamed:
        changes.append(
            f"it has {listing(unnamed)}, code of your own, which runs only if the command names it: add it "
            "to --attention to join the study"
        )
    if not changes and any(
        recorded_candidate(record, label, study.tune) is None for label in _others(study, record)
    ):
        changes.append("it has other candidates, which cannot be built from their names")
    return listing(changes) if changes else None


def _settings(study: StudySpec, record: StudyRecord) -> list[tuple[str, object, object]]:
    """Return what both say of a run apart from its recipe and its images: name, value there, value here."""
    settings: list[tuple[str, object, object]] = [
        ("kind", record.design.kind, study.design.kind),
        ("task", record.task.name, find_task(study.task).record.name),
        *_dense_settings(record.dense, study.dense.to_record() if study.dense else None),
        ("pretrained", record.pretrained, study.pretrained),
        ("replace_own", any(one.replaced for one in record.own_attention), study.replace_own),
        ("subject", record.design.subject, study.design.subject),
        tune_setting(study, record),
    ]
    if study.backbone is not None and record.design.kind != "networks":
        settings.append(("backbone", record.backbone, study.backbone))
    if record.pretrained and study.starts:  # the weights are found only after a first look at the folder
        there = {} if record.start is None else {one.backbone: one.sha256 for one in record.start.weights}
        own = {backbone: weights.sha256 for backbone, weights in study.starts.items()}
        settings.append(("weights", _named(there), _named(own)))
    if record.data.train_fraction is not None:
        settings.append(("train_fraction", record.data.train_fraction, study.data.train_fraction))
    return settings


def _dense_settings(there: DenseRecord | None, own: DenseRecord | None) -> list[tuple[str, object, object]]:
    names = ("label", "norm", "attention_in")
    return [(name, getattr(there, name, None), getattr(own, name, None)) for name in names]


def _named(weights: Mapping[str, str]) -> str:
    named = [f"{name} {sha256[:8]}" for name, sha256 in weights.items()]
    return listing(named) if named else "of another version"


def _can_plan_together(study: StudySpec, there: Design, *, searches: bool) -> bool:
    design = study.design
    is_search = searches or design.search is not None
    if is_search or there.search is not None:
        return is_search and there.search is not None
    if design.kind == "sweep":  # of the same mechanism with the same fixed options
        return design.contrasts[:1] == there.contrasts[:1]
    own = [contrast for contrast in there.contrasts if contrast.group != "controls"]
    return design.kind != "ablate" or [one for one in design.contrasts if one.group != "controls"] == own


def _others(study: StudySpec, record: StudyRecord) -> list[str]:
    """Return the labels of the candidates in the folder that are not asked for again."""
    own = {candidate.label for candidate in study.attention}
    return [label for label in record.attention if label not in own]


def join(study: StudySpec, record: StudyRecord | None, fingerprint: str) -> Joined:
    """Join `study` with that of `record`, which has no `difference` from it; without one it stays alone.

    A search is not joined but continued: its best combination replaces the one that was found before.

    Raises:
        RequestError: a run of both has another spec, so that a setting differs that study.json does not hold.
    """
    if record is None:
        return Joined(study)
    record, changed = _without_changed(record, study)
    asked = {(run.attention.label, run.seed): run.id for run in study.runs(fingerprint)}
    for run in record.runs:
        if asked.get((run.attention, run.seed), run.id) != run.id:
            raise RequestError(
                f"the study of {record.name} in this folder was made with other settings of the data "
                "(upscale, skip_broken, image_size, columns): give these, or another --out"
            )
    found, found_before = study.design.search, record.design.search
    if found is not None and found_before is not None:
        before = found_before.best, len(found_before.trials), record.seeds
        return Joined(study, is_changed=(found.best, len(found.trials), study.seeds) != before)
    others = [
        candidate
        for label in _others(study, record)
        if (candidate := recorded_candidate(record, label, study.tune))
    ]
    of_both = {candidate.label: candidate for candidate in (*others, *study.attention)}
    labels = _united(record.attention, tuple(of_both))
    there, own = record.design, study.design
    design = own.model_copy(
        update={
            "contrasts": _united(there.contrasts, own.contrasts),
            "values": _united(there.values, own.values),
            "controls": _united(there.controls, own.controls),
        }
    )
    seeds = _united(record.seeds, study.seeds)
    whole = study.model_copy(
        update={
            "attention": tuple(of_both[label] for label in labels),
            "seeds": seeds,
            "design": design,
            "tuning": join_tunings(record.tuning, study.tuning, labels),
        }
    )
    earlier = tuple(run for run in record.runs if (run.attention, run.seed) not in asked)
    as_it_was = record.attention, record.seeds, there, record.statistics.adjust
    is_changed = (labels, seeds, design, study.adjust) != as_it_was
    planned = record.sequential.seeds if record.sequential else ()
    unnamed = tuple(run for run in earlier if run.seed not in planned)
    note = _describe(record, labels, seeds, unnamed)
    if changed:
        was = f"{listing(changed)} was changed since: its earlier runs leave the study, and stay in runs/"
        note = f"{note}; {was}" if note else f"goes on with the study in this folder; {was}"
    return Joined(whole, earlier, is_changed or bool(changed), note, tuple(changed))


def _without_changed(record: StudyRecord, study: StudySpec) -> tuple[StudyRecord, list[str]]:
    """Return the record without the runs of classes whose source code is another now, and their labels."""
    sources = {one.label: one.source for one in study.attention if one.is_custom}
    changed = [
        label
        for label in record.attention
        if label in sources and (there := record.source_of(label)) and there.digest != sources[label]
    ]
    runs = tuple(run for run in record.runs if run.attention not in changed)
    return record.model_copy(update={"runs": runs}), changed


def _describe(
    record: StudyRecord, labels: tuple[str, ...], seeds: tuple[int, ...], earlier: tuple[PlannedRun, ...]
) -> str:
    """Say what is added to the study in the folder, and what stays in it; "" if neither is anything."""
    added = [label for label in labels if label not in record.attention]
    new_seeds = [str(seed) for seed in seeds if seed not in record.seeds]
    more = [*added, *([f"seed{'s' if len(new_seeds) > 1 else ''} {listing(new_seeds)}"] if new_seeds else [])]
    verb = "stays" if len(earlier) == 1 else "stay"
    stays = f"{count(len(earlier), 'run')} that this command does not name {verb} in the report"
    if more:
        return f"joins the study in this folder, to which it adds {listing(more)}" + (
            f"; {stays}" if earlier else ""
        )
    return f"repeats a part of the study in this folder; {stays}" if earlier else ""


def _united(there: tuple[Item, ...], own: tuple[Item, ...]) -> tuple[Item, ...]:
    return (*there, *(one for one in own if one not in there))
