import os
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from foveate.evaluation import energy
from foveate.evaluation.energy import energy_beside, measure_energy
from foveate.evaluation.energy_counters import Counter, Counters, NoCounterError, find_counters
from rapl_tree import PSYS, Tree, counting, read_from

CPU = torch.device("cpu")
ROUNDS = (7, 7)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(energy, "PAUSE", 0.0)


def measured(tree, joules, milliseconds=1000.0):
    """Measure steps that count so many joules in each package; a window is one step where one takes 1 s."""
    steps = {name: lambda one=one: tree.add(int(1e6 * one)) for name, one in joules.items()}
    with read_from(tree.folder), counting(tree, 1e-3):  # so that idle power is not 0
        counters = find_counters(CPU)
        times = dict.fromkeys(steps, milliseconds)
        return measure_energy(steps, times, counters, CPU, seconds=0.0, rounds=ROUNDS)


def test_joules_of_a_step_and_their_ratios_within_rounds(tmp_path):
    tree = Tree(tmp_path / "rapl", ("package-0",), range_uj=262_143_328_850)
    turns = measured(tree, {"none": 2.0, "se": 3.0}, milliseconds=100.0)
    assert turns.steps == [3, 3]  # the fewest that take 0.25 s
    assert turns.joules.shape == turns.watts.shape == (2, 7)
    torch.testing.assert_close(
        turns.joules, torch.tensor([[2.0], [3.0]]).double().expand(2, 7), rtol=1e-2, atol=0
    )
    assert (turns.watts > 0).all()
    assert turns.idle_watts > 0
    beside = energy_beside(turns, "se", "none")
    assert beside.ratio == pytest.approx(1.5, rel=1e-2)
    assert beside.interval == pytest.approx((1.5, 1.5), rel=1e-2)
    assert energy_beside(turns, "none", "none").ratio == 1


def test_a_counter_that_wraps_around_in_every_other_window_counts_on(tmp_path):
    tree = Tree(tmp_path / "rapl", ("package-0",), range_uj=5_000_000)
    turns = measured(tree, {"none": 4.0, "se": 3.0})
    torch.testing.assert_close(
        turns.joules, torch.tensor([[4.0], [3.0]]).double().expand(2, 7), rtol=1e-2, atol=0
    )


def test_packages_are_summed_and_psys_is_not_counted_once_more(tmp_path):
    tree = Tree(tmp_path / "rapl", ("package-0", PSYS, "package-1"), range_uj=10**9)
    turns = measured(tree, {"none": 2.0})
    torch.testing.assert_close(turns.joules, torch.full((1, 7), 4.0).double(), rtol=1e-2, atol=0)
    with read_from(tree.folder):
        assert find_counters(CPU).name == "RAPL, package-0 and package-1"


def test_a_counter_without_a_range_never_wraps_around():
    counters = Counters("two", (Counter(lambda: 0.0), Counter(lambda: 0.0, range=10.0)), 1.0)
    assert counters.between([100.0, 9.0], [107.0, 2.0]) == 7 + 3


def refused(device=CPU):
    with pytest.raises(NoCounterError) as error:
        find_counters(device)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_counter_is_said_with_what_was_looked_for(tmp_path):
    with read_from(tmp_path / "rapl"):
        said = refused()
    assert said.startswith(f"no energy counter of the CPU was found: {tmp_path}/rapl has none")
    assert "as in most virtual machines. Measure on hardware of its own" in said
    Tree(tmp_path / "rapl", (PSYS,), range_uj=10**9)
    with read_from(tmp_path / "rapl"):
        assert refused() == f"no energy counter of a CPU package was found: {tmp_path}/rapl has {PSYS}"
    (tmp_path / "rapl" / "intel-rapl:0" / "max_energy_range_uj").unlink()
    with read_from(tmp_path / "rapl"):
        assert refused() == f"no energy counter of a CPU package was found: {tmp_path}/rapl has {PSYS}"
    Tree(tmp_path / "broken", ("package-0",), range_uj=10**9)
    (tmp_path / "broken" / "intel-rapl:0" / "max_energy_range_uj").unlink()
    with read_from(tmp_path / "broken"):
        assert f"in {tmp_path}/broken cannot be read" in refused()
    assert refused(torch.device("mps")) == "no energy counter of the device mps is known"


def test_a_counter_that_only_root_may_read_is_said():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        tree = Tree(Path(folder) / "rapl", ("package-0",), range_uj=10**9)
        tree.zones[0].file.chmod(0o400 if os.geteuid() == 0 else 0)
        user = os.geteuid()
        with read_from(tree.folder):
            if user == 0:
                os.seteuid(65534)
            try:
                said = refused()
            finally:
                os.seteuid(user)
    assert said.startswith("Linux lets only root read the CPU's energy counters (energy_uj in the folders of")
    assert "run as root" in said


def test_nvml_that_is_not_installed_is_said_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert refused(torch.device("cuda", 0)).endswith("pip install 'foveate[energy]'")


def test_a_counter_that_stands_still_or_goes_away_is_said(tmp_path):
    tree = Tree(tmp_path / "rapl", ("package-0",), range_uj=10**9)
    with read_from(tree.folder):
        counters = find_counters(CPU)
    arguments = ({"none": lambda: None}, {"none": 1000.0}, counters, CPU)
    with pytest.raises(NoCounterError, match=r"the energy counter \(RAPL, package-0\) did not move within"):
        measure_energy(*arguments, seconds=0.0, rounds=ROUNDS)
    tree.zones[0].file.unlink()
    with pytest.raises(NoCounterError, match="can no longer be read"):
        measure_energy(*arguments, seconds=0.0, rounds=ROUNDS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_is_said():
    pytest.importorskip("pynvml")
    assert refused(torch.device("cuda", 0)).startswith("no energy counter of the GPU was found by NVML (")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_board_of_a_gpu_counts():
    device = torch.device("cuda", torch.cuda.current_device())
    counters = find_counters(device)
    assert torch.cuda.get_device_name(device) in counters.name
    square = torch.randn(4096, 4096, device=device)
    turns = measure_energy(
        {"none": lambda: square @ square}, {"none": 5.0}, counters, device, seconds=0.0, rounds=(3, 3)
    )
    assert (turns.joules > 0).all()
    assert 0 < turns.idle_watts < 2000
