"""`foveate profile --energy`, on a fake tree of RAPL that counts, and on this machine as it is."""

import csv
import re
from pathlib import Path

import pytest

from foveate.evaluation import energy, energy_counters, roofline
from foveate.profiling import engine
from foveate.profiling.settings import ProfileSettings
from foveate.profiling.spec import make_profile
from foveate.records.profile import ProfileRecord
from foveate.report.profile.build import write_profile
from foveate.report.profile.tables import energy_table
from rapl_tree import PSYS, Tree, counting, read_from

SETTINGS = {
    "backbone": "cifar_resnet8",
    "attention": "se",
    "device": "cpu",
    "threads": 1,
    "seconds": 0.0,
    "energy": True,
}
RANGE_UJ = 2_000_000
"""A counter of 30 W wraps around fifteen times a second."""


@pytest.fixture(scope="module", autouse=True)
def brief():
    """Take short windows, and smaller arrays for the bound of memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(energy, "PAUSE", 0.1)
        patch.setattr(energy_counters, "CPU_SECONDS", 0.1)
        patch.setitem(roofline.ARRAY_BYTES, "cpu", 2**22)
        yield


def profiled(folder: Path, **changes: object) -> ProfileRecord:
    tree = Tree(folder / "rapl", ("package-0", PSYS), RANGE_UJ)
    with read_from(tree.folder), counting(tree, watts=30.0):
        return engine.profile(make_profile(ProfileSettings(**SETTINGS | changes)))


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A record of batches of 4 images, and the windows that it was made from."""
    kept = []

    def measure_and_keep(*arguments, **options):
        kept.append(energy.measure_energy(*arguments, **options))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foveate.profiling.energy.measure_energy", measure_and_keep)
        record = profiled(tmp_path_factory.mktemp("tree"), batch_size=4)
    return record, *kept


@pytest.fixture(scope="module")
def record(counted):
    return counted[0]


def test_every_network_has_its_energy_beside_the_baselines(counted):
    record, turns = counted
    account = record.energy
    assert (account.counter, account.rounds, account.window_seconds) == ("RAPL, package-0", 11, 0.1)
    assert account.missing is None
    assert account.idle_watts > 0
    base, se = (row.energy for row in record.rows)
    assert (base.ratio, base.ratio_quartiles, base.ratio_ci95, base.added_joules) == (1, (1, 1), (1, 1), 0)
    assert se.added_joules == pytest.approx((se.ratio - 1) * base.joules_per_1000_images)
    low, high = se.ratio_ci95
    assert low <= se.ratio <= high
    for row, joules, watts, steps in zip(record.rows, turns.joules, turns.watts, turns.steps, strict=True):
        assert row.energy.joules_per_1000_images == pytest.approx(250 * joules.median().item())
        assert row.energy.watts == watts.median().item() > 0
        assert row.energy.steps == steps >= 1
    assert ProfileRecord.model_validate(record.to_json()) == record
    assert record.to_json()["settings"]["energy"] is True


def test_page_csv_and_markdown_have_the_columns(record, tmp_path):
    page = Path(write_profile(record, tmp_path)).read_text(encoding="utf-8")
    assert '<h2 id="energy">Energy</h2>' in page
    said = re.sub(r"\s+", " ", page.replace("\N{NO-BREAK SPACE}", " "))
    assert "Energy was counted by RAPL, package-0: the whole package, with everything that ran on it" in said
    assert "Joules per 1,000 images" in page
    assert 'href="energy.md"' in page
    assert len((tmp_path / "energy.md").read_text().splitlines()) >= 4
    with (tmp_path / "profile.csv").open(newline="", encoding="utf-8") as lines:
        base, se = csv.DictReader(lines)
    assert float(se["energy_joules_per_1000_images"]) == record.rows[1].energy.joules_per_1000_images
    assert float(se["energy_ratio_ci95_low"]) == record.rows[1].energy.ratio_ci95[0]
    assert float(base["energy_ratio"]) == 1


def test_another_runtime_has_its_energy_beside_the_baselines_there(tmp_path):
    record = profiled(tmp_path, runtime=("onnxruntime",))
    base, se = record.runtime_rows
    assert (base.energy.ratio, base.energy.added_joules) == (1, 0)
    assert se.energy.added_joules == pytest.approx((se.energy.ratio - 1) * base.energy.joules_per_1000_images)
    table = energy_table(record)
    assert table.columns[1].title == "Runtime"
    assert [(row[0].main, row[1].main) for row in table.rows] == [
        ("baseline", "torch"),
        ("", "onnxruntime fp32"),
        ("se", "torch"),
        ("", "onnxruntime fp32"),
    ]


def test_the_run_goes_on_where_the_machine_does_not_tell(tmp_path):
    with read_from(tmp_path / "nothing"):
        record = engine.profile(make_profile(ProfileSettings(**SETTINGS)))
    assert record.energy.to_json().keys() == {"missing"}
    assert f"{tmp_path}/nothing has none" in record.energy.missing
    assert all("energy" not in row for row in record.to_json()["rows"])
    assert energy_table(record) is None
    page = Path(write_profile(record, tmp_path / "page")).read_text(encoding="utf-8")
    assert "Energy was not measured: no energy counter of the CPU was found" in page
    assert "Joules per 1,000 images" not in page
    assert not (tmp_path / "page" / "energy.md").exists()


def test_it_is_not_asked_of_the_machine_unless_the_person_does(tmp_path):
    record = profiled(tmp_path, energy=False).to_json()
    assert "energy" not in record
    assert "energy" not in record["settings"]
    assert all("energy" not in row for row in record["rows"])
