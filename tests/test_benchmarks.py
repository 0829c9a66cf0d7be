"""The benchmarks: proof comes before figures, and the page keeps what other machines measured."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from foveate.errors import RequestError
from foveate.kernels import rearranged, reference
from foveate.kernels.numba import team

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SMALL = ["--device", "cpu", "--threads", "1", "--seconds", "0", "--quick-check", "--skip-first-use"]
SMALL += ["--backbone", "cifar_resnet20", "--image-size", "32", "--batch-sizes", "1"]


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import as a script does that lies in the folder, and leave torch's threads as they were."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    path, threads = sys.path.copy(), torch.get_num_threads()
    yield
    sys.path[:] = path
    torch.set_num_threads(threads)


@pytest.fixture
def price() -> ModuleType:
    return importlib.import_module("attention_price")


@pytest.fixture
def page() -> ModuleType:
    return importlib.import_module("performance_page")


@pytest.mark.parametrize(
    "script", ["attention_price", "fit_throughput", "dense_throughput", "corruption_price"]
)
def test_a_benchmark_says_what_it_takes(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setattr(sys, "argv", [script, "--help"])
        importlib.import_module(script).main()
    assert left.value.code == 0
    assert "--device" in capsys.readouterr().out


@pytest.mark.full  # a process of its own: numba is loaded already in this one
def test_no_script_hides_a_package_that_the_kernels_import() -> None:
    program = "from foveate.kernels.numba_modules import load_kernels as load; print(load('simam'))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("<module 'foveate.kernels.numba.simam'")


def test_no_figure_where_kernels_cannot_be_loaded(
    price: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        price.price_proof, "load_kernels", lambda name: "its kernels cannot be loaded here (x)"
    )
    assert price.main([*SMALL, "--attention", "dmsca"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "numba is installed, but its kernels cannot be loaded here (x)" in said.err


@pytest.mark.slow  # where numba's kernels were never compiled before
def test_figures_go_to_the_terminal_the_page_and_the_record(
    price: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--write", str(tmp_path / "page.md"), "--json", str(tmp_path / "figures.json")]
    assert price.main([*SMALL, "--attention", "dmsca,se", *files]) == 0
    said = capsys.readouterr()
    assert said.out.count("over the baseline: foveate ") == 4  # two mechanisms, two layouts
    assert (
        "equality: dmsca in cifar_resnet20, inference, batch 1 of 32×32, float32, channels_last" in said.err
    )
    dmsca, _, se, _ = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["comparisons"]
    assert list(dmsca["over_plain"]) == ["foveate", "equations", "timm", "plain, again"]
    assert dmsca["over_plain"]["timm"] is dmsca["over_timm"] is None
    ratios = se["over_timm"]
    assert ratios["interval"][0] <= ratios["quartiles"][0] <= ratios["ratio"] <= ratios["interval"][1]
    assert [site["sites"] for site in dmsca["paths"]] == [9]
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| dmsca in cifar_resnet20, inference, batch 1, channels_last | " in text
    assert (
        "se in cifar_resnet20, training, batch 1 of 32×32, bfloat16, channels_last | not measured: no GPU"
        in text
    )


@pytest.mark.parametrize("stage", ["tests", "networks"])
def test_no_figure_where_a_kernel_is_wrong(
    stage: str, price: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carry_out, fuse = team.Plan.carry_out, reference.fuse
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(team.Plan, "carry_out", lambda plan, x: carry_out(plan, x) * 1.01)
        patch.setattr(rearranged.reference, "fuse", lambda *given: fuse(*given) * 1.01)
        if stage == "networks":  # as if the tests had not seen it
            patch.setattr(price.price_proof, "check_every_path", lambda *_: "")
        files = ["--write", str(tmp_path / "page.md"), "--json", str(tmp_path / "figures.json")]
        assert price.main([*SMALL, "--attention", "dmsca", *files]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "no figure is printed, for equality was not shown: dmsca " in said.err
    assert "its output is off the equations in float64 by 1.0e-02 of its size; allowed is 2.0e-05" in said.err
    assert not list(tmp_path.iterdir())


def test_no_figure_where_the_equality_tests_fail(
    price: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = SimpleNamespace(returncode=1, stdout="FAILED test_fuse\n1 failed in 2s\n", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    without_quick = [flag for flag in SMALL if flag != "--quick-check"]
    assert price.main([*without_quick, "--attention", "se"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "the equality tests failed:\nFAILED test_fuse" in said.err


def test_gradients_are_checked_where_training_is_timed(price: ModuleType, monkeypatch: Any) -> None:
    case = price.Case("dmsca", "cifar_resnet20", 32, 2, "channels_last", "float32", "training", graph=False)
    spec = case.spec(torch.device("cpu"), 1, 0)
    price.price_proof.check_network(spec, spec.attention[1])
    pool = reference.pool

    def wrong_backward(x: torch.Tensor) -> Any:
        rows, columns, top = pool(x)
        return rows + 1e-2 * (rows - rows.detach()), columns, top

    monkeypatch.setattr(rearranged.reference, "pool", wrong_backward)
    with pytest.raises(price.WorkError, match=r"dmsca at .*attention.* its gradient of the map is off"):
        price.price_proof.check_network(spec, spec.attention[1])


def comparison(**changed: Any) -> dict[str, Any]:
    ratios = {"ratio": 1.08, "quartiles": [1.07, 1.1], "interval": [1.06, 1.09]}
    form = {"mechanism": "dmsca", "backbone": "resnet50", "image_size": 224, "batch_size": 1}
    form |= {"memory_format": "contiguous", "dtype": "float32", "mode": "inference", "graph": False}
    over = {"foveate": ratios, "equations": ratios, "timm": None, "plain, again": ratios}
    figures = {"over_plain": over, "over_equations": ratios, "over_timm": None, "ms_p50": {"plain": 100.0}}
    sites = [{"part": "dmsca", "path": "numba", "reason": "the fastest there is", "sites": 16}]
    rest = {"rounds": 40, "steps_per_time": 1, "paths": sites, "peak_memory_over_plain": None}
    return form | figures | rest | changed


def record(accelerator: str, threads: int, *comparisons: dict[str, Any]) -> dict[str, Any]:
    versions = dict.fromkeys(("foveate", "torch", "timm", "numba", "triton", "python", "platform"), "1")
    where = versions | {"processor": "A", "cores": 2, "threads": threads, "accelerator": accelerator}
    head = {"environment": where, "date": "2026-01-02", "command": "c", "proof": "12 passed", "seconds": 1.0}
    return head | {"comparisons": list(comparisons), "first_use_seconds": {"dmsca": {"first": 9, "later": 1}}}


def test_a_run_replaces_the_section_of_its_own_machine_alone(price: ModuleType, page: ModuleType) -> None:
    awaited = [price.Case("dmsca", "resnet50", 224, 256, "channels_last", "bfloat16", "training", False)]
    text = page.put_section("", record("cpu", 1, comparison()), awaited)
    text = page.put_section(text, record("cpu", 2, comparison(ms_p50={"plain": 60.0})), awaited)
    assert list(page.read_sections(text)) == ["CPU: A, 1 thread", "CPU: A, 2 threads", "GPU: none yet"]
    assert "channels_last | not measured: no GPU in this run |" in text
    text = page.put_section(text, record("NVIDIA H200", 2, comparison(ms_p50={"plain": 4.0})), [])
    text = page.put_section(text, record("cpu", 2, comparison(ms_p50={"plain": 50.0})), awaited)
    assert list(page.read_sections(text)) == ["CPU: A, 1 thread", "CPU: A, 2 threads", "GPU: NVIDIA H200"]
    assert "not measured" not in text
    assert [f"| {ms} | +8.0 % [6.0, 9.0] (7.0 … 10.0) |" in text for ms in (100, 60, 50, 4)] == [1, 0, 1, 1]
    assert text.count("- dmsca: numba at 16 sites (the fastest there is)\n") == 3
    with pytest.raises(RequestError, match="did not write"):
        page.put_section("# My notes\n", record("cpu", 1, comparison()), [])


@pytest.mark.parametrize(
    ("interval", "batch", "reached"),
    [
        ([1.06, 1.108], 1, "reached"),
        ([1.06, 1.12], 2, "open: the goal is in the interval"),
        ([1.11, 1.12], 256, "not reached"),
        ([1.11, 1.26], 1, "not reached; a first step, under +25 %: open: the goal is in the interval"),
        ([1.11, 1.19], 8, "not reached; a first step, under +20 %: reached"),
        (None, 2, "open: too few rounds"),
    ],
)
def test_a_goal_is_reached_where_the_whole_interval_is(
    interval: list[float] | None, batch: int, reached: str
) -> None:
    goals = importlib.import_module("price_goals")
    found = comparison(batch_size=batch)
    found["over_plain"]["foveate"] = found["over_plain"]["foveate"] | {"interval": interval}
    assert goals.judge(found) == ("at most +10.84 %", reached)
    assert goals.judge(found | {"backbone": "resnet18"}) == ("", "")
    trained = found | {"mode": "training", "peak_memory_over_plain": {"foveate": 1.16}}
    assert goals.judge_memory(trained) == ("at most +15 %", "not reached")


def test_others_are_never_to_be_slower() -> None:
    goals = importlib.import_module("price_goals")
    ratios = {"ratio": 0.95, "quartiles": [0.9, 1.0], "interval": [0.94, 0.97]}
    found = comparison(mechanism="se", over_timm=ratios)
    assert goals.judge(found) == ("never slower", "timm's: reached; its equations: not reached")


def test_corruptions_are_priced_against_the_forward(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corruption_price = importlib.import_module("corruption_price")
    small = ["--backbone", "cifar_resnet8", "--images", "4", "--batch-size", "2"]
    assert corruption_price.main([*small, "--json", str(tmp_path / "figures.json")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["ratios"]) == 15
    assert all(ratio > 0 for ratio in figures["ratios"].values())
    assert figures["total"] == pytest.approx(sum(figures["ratios"].values()) / 15)
    assert "all 15 × 5" in capsys.readouterr().out


def test_the_breakdown_of_a_call_adds_up_and_leaves_no_timer_behind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    carry_out = team.Plan.carry_out
    small = ["--backbone", "cifar_resnet8", "--image-size", "16", "--rounds", "3", "--threads", "1"]
    importlib.import_module("call_breakdown").main([*small, "--attention", "simam"])
    row = capsys.readouterr().out.splitlines()[-1]
    name, *parts, whole = (cell.strip() for cell in row.strip("|").split("|"))
    assert name == "simam"
    assert all(int(part) > 0 for part in parts)
    milliseconds = sum(map(int, parts)) * 3 / 1e3  # at three sites
    assert abs(milliseconds - float(whole.split()[0])) < 0.1 * milliseconds + 0.1
    assert team.Plan.carry_out is carry_out


def test_the_bound_of_sgfa_carries_out_its_convolutions_in_both_forms() -> None:
    bound = importlib.import_module("sgfa_bound")
    with torch.inference_mode():
        network = bound.build("contiguous", attention=True)
        sites = bound.read_sites(network, torch.randn(1, 3, 32, 32))
        wide = [layer.weight.shape[:2] for layer, _ in sites[0]]
        assert wide[1:4] == [
            (96, 192),
            (384, 96),
            (96, 384),
        ]  # of the map of statistics, then of the channels
        assert bound.count_multiply_adds(sites[0][1:4]) == 64 * (192 * 96 + 2 * 96 * 384)
        calls: list[torch.nn.Module] = []
        for layer, _ in sites[0]:
            layer.register_forward_hook(lambda layer, *_: calls.append(layer))
        bound.convolve(sites[0])
        assert calls == [layer for layer, _ in sites[0]]
        calls.clear()
        bound.multiply(sites[0])
        assert calls == [layer for layer, _ in sites[0] if layer.kernel_size != (1, 1)]
