"""What --on and the flags beside it may be."""

import re

import pytest

from foveate.errors import RequestError
from foveate.studies.engine.executors.need import Need
from foveate.studies.engine.executors.processes import LocalProcesses
from foveate.studies.engine.executors.settings import ClusterSettings


def test_this_machine_is_the_default() -> None:
    settings = ClusterSettings()
    settings.check()
    assert settings.executor(3, Need()) == LocalProcesses(3)
    assert settings.executor(None, Need()) == LocalProcesses(1)


@pytest.mark.parametrize(
    ("on", "kind", "address"),
    [
        ("ray", "ray", None),
        ("ray://head:10001", "ray", "ray://head:10001"),
        ("slurm", "slurm", None),
        ("slurm:local", "slurm", "local"),
    ],
)
def test_a_scheduler_and_its_address(on: str, kind: str, address: str | None) -> None:
    settings = ClusterSettings(on=on)
    settings.check()
    assert (settings.kind, settings.address) == (kind, address)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ClusterSettings(on="rya"), "unknown scheduler 'rya'.*ray"),
        (ClusterSettings(on="ray:head"), "expected ray or ray://HOST:PORT"),
        (ClusterSettings(on="slurm:far"), "expected slurm or slurm:local"),
        (ClusterSettings(memory=4), "--memory belongs to --on ray or --on slurm"),
        (ClusterSettings(on="ray", partition="gpu"), "--partition belongs to --on slurm"),
        (ClusterSettings(on="ray", memory=0), "--memory 0: expected GiB, over 0"),
        (ClusterSettings(on="slurm", minutes=0), "--minutes must be a whole number of at least 1"),
        (ClusterSettings(on="slurm", slurm=["lab"]), "--slurm lab: expected KEY=VALUE"),
    ],
)
def test_what_does_not_fit_is_refused(settings: ClusterSettings, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        settings.check()


def test_flags_override_the_study_file() -> None:
    there = {"on": "slurm", "partition": "gpu", "memory": 8, "slurm": ["account=lab"]}
    settings = ClusterSettings(memory=4).over(there)
    assert settings == ClusterSettings(on="slurm", partition="gpu", memory=4, slurm=["account=lab"])
    assert ClusterSettings(on="ray").over(there) == ClusterSettings(on="ray")
    assert ClusterSettings(on="here").over(there).kind is None
    assert ClusterSettings(on="ray").over(None) == ClusterSettings(on="ray")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"partitoin": "gpu"}, "partitoin"),
        ({"on": "slurm", "minutes": "two"}, "minutes"),
        ("slurm", "expected keys such as on"),
    ],
)
def test_a_study_file_with_other_keys_or_values_is_refused(there: object, said: str) -> None:
    with pytest.raises(RequestError, match=f"cluster: .*{re.escape(said)}"):
        ClusterSettings().over(there)  # type: ignore[arg-type]
