"""The cost of a study: measured once, and again where the machine disturbed it."""

import json
from pathlib import Path
from typing import Any

import pytest

from foveate.data import Data, load_data
from foveate.evaluation.noise import noise_of_cost
from foveate.records.cost import CostConditions, CostRecord
from foveate.studies.engine.cost import _conditions, measure_cost
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec

CPU = Machine("cpu")


class Counts(Watch):
    """How often latencies were measured to the end."""

    def __init__(self) -> None:
        self.times = 0

    def measuring(self, done: int, total: int) -> None:
        self.times += done == total


@pytest.fixture(scope="module")
def data(bands: Path) -> Data:
    return load_data(str(bands))


def study(attention: str = "se,none") -> StudySpec:
    return make_study({"data": "bands", "backbone": "cifar_resnet8", "attention": attention, "seeds": 1}, {})


def measure(data: Data, out: Path, spec: StudySpec | None = None) -> tuple[dict[str, Any], int]:
    watch = Counts()
    measure_cost(spec or study(), data, out, CPU, watch)
    return json.loads((out / "cost.json").read_text()), watch.times


def quietened(record: dict[str, Any]) -> dict[str, Any]:
    """The record as it would be from a quiet machine."""
    for label, ratio in (("none", 1.0), ("se", 1.2)):
        row = {"latency_ms_p50": 2 * ratio, "latency_ms_p95": 2.1 * ratio, "latency_ratio": ratio}
        record["rows"][label] |= row
    if "timing" in record:
        record["timing"]["cpu_share"] = 0.99
    return record


def test_costs_of_another_detector_or_segmenter_are_measured_again(data: Data, tmp_path: Path) -> None:
    def conditions(**settings: str) -> CostConditions:
        own = {"data": str(tmp_path), "backbone": "cifar_resnet8", "attention": "none,se"}
        spec = make_study(own | settings, {}) if settings else study()
        return _conditions(spec, data, "cpu")

    made = [
        conditions(),
        conditions(segmenter="unet"),
        conditions(segmenter="unet(decoder_channels=[16,16])"),
        conditions(segmenter="unet", norm="group"),
        conditions(segmenter="unet", attention_in="both"),
    ]
    assert all(a != b for place, a in enumerate(made) for b in made[:place])
    assert conditions(segmenter="unet") == made[1]
    assert "dense" not in made[0].to_json()
    assert CostConditions.model_validate(made[1].to_json()) == made[1]


def test_what_is_measured_is_to_plain_with_its_interval(data: Data, tmp_path: Path) -> None:
    record, times = measure(data, tmp_path)
    assert times == 1
    assert record["timing"]["reference"] == "none"
    assert record["timing"]["rounds"] >= 15
    assert 0 < record["timing"]["cpu_share"] <= 1
    assert list(record["rows"]) == ["se", "none"]
    plain, se = record["rows"]["none"], record["rows"]["se"]
    assert (plain["latency_ratio"], plain["latency_ratio_ci95"]) == (1.0, [1.0, 1.0])
    low, high = se["latency_ratio_ci95"]
    assert low <= se["latency_ratio"] <= high
    assert record["batch_size"] == 1


def test_a_quiet_measurement_is_kept_and_a_noisy_one_made_again(data: Data, tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    record = quietened(measure(data, tmp_path)[0])
    path.write_text(json.dumps(record))
    before = path.read_bytes()
    assert measure(data, tmp_path) == (record, 0)
    assert path.read_bytes() == before
    record["timing"]["cpu_share"] = 0.001  # noisier than any machine that runs this
    path.write_text(json.dumps(record))
    again, times = measure(data, tmp_path)
    assert times == 1
    assert again["timing"]["cpu_share"] > 0.001


def test_a_measurement_that_is_noisier_does_not_replace_one(data: Data, tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    record = quietened(measure(data, tmp_path)[0])
    record["rows"]["none"]["latency_ms_p95"] = 2.0 * 1.2501  # hardly noisy
    path.write_text(json.dumps(record))
    kept, times = measure(data, tmp_path)
    assert times == 1
    noise = noise_of_cost(CostRecord.model_validate(kept))
    assert not noise or noise[0].factor <= 1.2501


def test_a_record_of_0_1_0_is_read_and_measured_again_if_it_is_noisy(data: Data, tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    record = quietened(measure(data, tmp_path)[0])
    del record["timing"]
    for row in record["rows"].values():
        del row["latency_ratio_ci95"]
    path.write_text(json.dumps(record))
    assert measure(data, tmp_path) == (record, 0)
    record["rows"]["se"] |= {"latency_ms_p50": 5.56, "latency_ms_p95": 5.7, "latency_ratio": 1.21}
    record["rows"]["none"] |= {"latency_ms_p50": 0.001, "latency_ms_p95": 0.001}
    path.write_text(json.dumps(record))
    assert measure(data, tmp_path)[1] == 1


def test_another_candidate_is_measured_beside_all(data: Data, tmp_path: Path) -> None:
    record = quietened(measure(data, tmp_path)[0])
    (tmp_path / "cost.json").write_text(json.dumps(record))
    more, times = measure(data, tmp_path, study("none,se,eca"))
    assert times == 1
    assert list(more["rows"]) == ["none", "se", "eca"]
