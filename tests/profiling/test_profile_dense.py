"""Profiles of whole detectors and segmenters."""

from pathlib import Path

import pytest
from torch import nn

from foveate.models.dense import create_detector, create_segmenter
from foveate.profiling.engine import profile
from foveate.profiling.settings import ProfileSettings
from foveate.profiling.spec import make_profile
from foveate.records.profile import ProfileRecord
from foveate.report.profile.build import write_profile
from foveate.report.profile.words import conditions

SETTINGS = {"backbone": "cifar_resnet8", "attention": "se", "image_size": 64, "device": "cpu", "threads": 1}


def profiled(**changes: object) -> ProfileRecord:
    return profile(make_profile(ProfileSettings(**SETTINGS | {"seconds": 0.0} | changes)))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# SE at the three blocks of 16, 32 and 64 channels: C/16 hidden channels, with biases.
ADDED = sum(2 * c * (c // 16) + c // 16 + c for c in (16, 32, 64))


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_a_detector_is_counted_and_timed_as_a_whole(mode, tmp_path):
    record = profiled(detector="fasterrcnn(size=small)", mode=mode)
    own = create_detector("fasterrcnn", "cifar_resnet8", classes=80, image_size=64, size="small")
    baseline, se = record.rows
    assert baseline.parameters == parameters(own)
    assert (se.parameters_added, se.sites) == (ADDED, 3)
    assert se.macs_added > 0
    assert baseline.latency_ms_p50 > 0
    assert conditions(record).startswith("Faster R-CNN (size=small) over cifar_resnet8, ")
    assert record.to_json()["settings"]["dense"]["label"] == "fasterrcnn(size=small)"
    page = Path(write_profile(record, tmp_path)).read_text(encoding="utf-8")
    assert "as many proposals as it keeps at most" in page


def test_a_training_step_of_a_segmenter():
    record = profiled(segmenter="unet", mode="training", batch_size=2)
    baseline, se = record.rows
    assert baseline.parameters == parameters(create_segmenter("unet", "cifar_resnet8", classes=19))
    assert se.parameters_added == ADDED
    assert record.settings.classes == 19


def test_profiles_of_classifiers_are_written_as_before():
    settings = make_profile(ProfileSettings(**SETTINGS)).as_record()
    assert "dense" not in settings.to_json()
