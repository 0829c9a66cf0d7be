"""Studies in a folder that holds one: those that join it, those that are others, and the report of before."""

import json
from pathlib import Path
from typing import Any

import pytest

from foveate.errors import RequestError
from foveate.records.file_names import RESULT, RUNS, STUDY
from foveate.records.files import read_record
from foveate.records.study import StudyRecord, read_study
from foveate.report.study.build import build_report
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.folder import keep_report
from foveate.studies.engine.joining import begun_study, choose_folder, difference
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec
from noting import Notes

CPU = Machine("cpu", threads=1)


def study(bands: Path, changes: dict[str, Any] | None = None, **settings: Any) -> StudySpec:
    settings = {
        "data": str(bands),
        "backbone": "cifar_resnet8",
        "attention": "none,se",
        "seeds": 1,
    } | settings
    return make_study(settings, {"epochs": 1, "batch_size": 16, "augmentation": ("crop",)} | (changes or {}))


@pytest.fixture(scope="module")
def made(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with its report."""
    out = tmp_path_factory.mktemp("joining") / "out"
    compare(study(bands), out, CPU)
    build_report(out)
    return out


def test_another_candidate_and_another_seed_join_and_nothing_is_trained_again(
    bands: Path, made: Path
) -> None:
    before = {path: path.read_bytes() for path in made.rglob(RESULT)}
    page, record = (made / "report" / "index.html").read_bytes(), (made / STUDY).read_bytes()
    watch = Notes()
    compare(study(bands, attention="none,eca"), made, CPU, watch=watch)
    assert watch.done == ["eca, seed 0"]
    assert watch.notes == [
        f"{made}: this joins the study in this folder, to which it adds eca; 1 run that this command does "
        "not name stays in the report.",
        f"The report of before is kept: {made / 'report-1' / 'index.html'}",
    ]
    assert {path: path.read_bytes() for path in before} == before
    assert (made / "report-1" / "index.html").read_bytes() == page
    assert (made / "report-1" / STUDY).read_bytes() == record
    summary = build_report(made)
    assert [(row.attention, row.runs) for row in summary.rows] == [("none", 1), ("se", 1), ("eca", 1)]

    watch = Notes()  # the first command again: nothing is left to do, and nothing is lost
    compare(study(bands), made, CPU, watch=watch)
    assert watch.done == []
    assert watch.notes == [
        f"{made}: this repeats a part of the study in this folder; 1 run that this command does not name "
        "stays in the report."
    ]
    assert not (made / "report-2").exists()
    assert set(read_study(made).results) == {"none", "se", "eca"}

    watch = Notes()
    compare(study(bands, seeds=2), made, CPU, watch=watch)
    assert watch.done == ["baseline, seed 1", "se, seed 1"]
    assert "to which it adds seed 1; 1 run" in watch.notes[0]
    assert (made / "report-2" / "index.html").is_file()
    records = read_study(made)
    assert records.missing == ()  # eca was never asked for with seed 1
    runs = [(run.attention, run.seed) for run in records.study.runs]
    assert runs == [("none", 0), ("se", 0), ("eca", 0), ("none", 1), ("se", 1)]
    assert not [one for one in build_report(made).verdict if "missing" in one]


@pytest.mark.parametrize(
    ("settings", "changes", "why"),
    [
        ({}, {"epochs": 2}, "epochs 1 instead of 2"),
        ({"backbone": "cifar_resnet18"}, {}, "backbone cifar_resnet8 instead of cifar_resnet18"),
        ({"train_fraction": 0.5}, {}, "train_fraction 1.0 instead of 0.5"),
        ({"attention": None, "ablate": "sgfa"}, {}, "kind compare instead of ablate"),
    ],
)
def test_another_study_is_refused_and_changes_nothing(
    bands: Path, made: Path, settings: dict[str, Any], changes: dict[str, Any], why: str
) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    with pytest.raises(RequestError, match=f"holds another study: .*{why}.*give another --out"):
        compare(study(bands, changes, **settings), made, CPU)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_by_default_another_study_goes_to_a_folder_of_its_own(bands: Path, made: Path) -> None:
    watch = Notes()
    assert choose_folder(study(bands, attention="none,cbam"), made, CPU, watch)[0] == made
    assert watch.notes == []
    place, data = choose_folder(study(bands, {"epochs": 2}), made, CPU, watch)
    assert place == made.with_name("out-2")
    assert data is None
    assert watch.notes == [
        f"{made} holds another study: epochs 1 instead of 2. It stays as it is.",
        f"This study goes to {place}.",
    ]


def test_other_images_are_another_study(bands: Path, made: Path) -> None:
    watch = Notes()
    place, data = choose_folder(study(bands, data="digits"), made, CPU, watch)
    assert place == made.with_name("out-2")
    assert data is not None  # they were opened to be compared
    assert "it is of other images (bands), or of these before they were changed" in watch.notes[-2]


def test_a_study_without_a_finished_run_is_replaced(bands: Path, tmp_path: Path, made: Path) -> None:
    (tmp_path / STUDY).write_bytes((made / STUDY).read_bytes())
    assert begun_study(tmp_path) is None
    assert choose_folder(study(bands, {"epochs": 2}), tmp_path, CPU, Notes()) == (tmp_path, None)
    assert keep_report(tmp_path) is None


def test_other_values_of_a_sweep_join_and_other_fixed_options_do_not(bands: Path, made: Path) -> None:
    def sweep(mechanism: str, *values: str) -> StudySpec:
        return study(bands, attention=None, sweep=mechanism, values=list(values))

    def record(spec: StudySpec) -> StudyRecord:
        found = read_record(made / STUDY, StudyRecord)
        return found.model_copy(
            update={"design": spec.design, "attention": tuple(one.label for one in spec.attention)}
        )

    there = record(sweep("se", "reduction=4,8"))
    assert difference(sweep("se", "reduction=4,8,32"), there) is None
    assert difference(sweep("se(reduction=2)", "reduction=4,8"), there) == "it plans other comparisons"
    assert difference(sweep("se", "reduction=4"), there, searches=True) == "it plans other comparisons"
    ablated = record(study(bands, attention=None, ablate="sgfa"))
    assert difference(study(bands, attention=None, ablate="sgfa", seeds=3), ablated) is None


def test_another_family_keeps_the_report_of_before(bands: Path, made: Path) -> None:
    before = len(list(made.glob("report-*")))
    build_report(made)
    watch = Notes()
    compare(study(bands, family="all"), made, CPU, watch=watch)
    assert json.loads((made / STUDY).read_text())["design"]["family"] == "all"
    (said,) = [note for note in watch.notes if "compared" in note]
    assert said.endswith("compared each mechanism with the baseline, now all pairs.")
    assert len(list(made.glob("report-*"))) == before + 1
    watch = Notes()
    compare(study(bands), made, CPU, watch=watch)  # it is kept, and said
    assert any("keeps that; --family baseline changes it" in note for note in watch.notes)
    assert json.loads((made / STUDY).read_text())["design"]["family"] == "all"
    assert (made / RUNS).is_dir()
