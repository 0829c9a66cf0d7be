"""Compiled networks beside eager ones: proof before figures, the figures, and their place on the page."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from foveate.errors import WorkError

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SMALL = ["--threads", "1", "--seconds", "0", "--backend", "aot_eager", "--forms", "default"]
SMALL += ["--backbone", "cifar_resnet8", "--image-size", "32", "--batch-sizes", "1"]
SMALL += ["--training-backbone", "cifar_resnet8", "--training-batch-size", "2", "--attention", "se"]


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Import as a script does that lies in the folder; leave torch's threads and caches as they were."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.compiler.reset()


@pytest.fixture
def networks() -> ModuleType:
    return importlib.import_module("compiled_networks")


def spec_of(mode: str) -> Any:
    case = importlib.import_module("price_networks").Case
    return case("se", "cifar_resnet8", 32, 2, "contiguous", "float32", mode, False).spec(
        torch.device("cpu"), 1, 0
    )


def of_twice(graph: Any, inputs: Any) -> Any:
    """Compile to what gives twice the outputs: a backend of torch.compile that is wrong."""
    return lambda *given: tuple(2 * y for y in graph(*given))


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_a_compiled_network_is_compared_with_its_eager_form(mode: str, networks: ModuleType) -> None:
    contender = networks.Contender("equations", "default")
    proof = networks.prove(spec_of(mode), contender, "aot_eager")
    assert proof.off < 1e-5
    assert (proof.gradients_off is None) == (mode == "inference")
    assert mode == "inference" or proof.gradients_off < 1e-4


def test_a_compiled_network_that_differs_is_refused(networks: ModuleType) -> None:
    contender = networks.Contender("equations", "default")
    with pytest.raises(WorkError, match="off its uncompiled self by 1.0e.00, and the baseline is by"):
        networks.prove(spec_of("inference"), contender, of_twice)


def test_gradients_that_differ_are_refused(networks: ModuleType) -> None:
    true = torch.linspace(-1, 1, 100, dtype=torch.float64)
    assert networks.check_gradients(true * 1.001, true) == pytest.approx(1e-3)
    with pytest.raises(WorkError, match="off those of its uncompiled self by 1.0e-02; allowed is 2e-03"):
        networks.check_gradients(true * 1.01, true)
    with pytest.raises(WorkError, match="by nan"):
        networks.check_gradients(true * float("nan"), true)


def check_the_run(tmp_path: Path, said: str) -> list[dict[str, Any]]:
    record = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    inference, training = record["comparisons"]
    assert (inference["mode"], training["mode"]) == ("inference", "training")
    for found in (inference, training):
        assert [(one["network"], one["form"]) for one in found["contenders"]] == [
            *(("plain", "eager"), ("plain, again", "eager"), ("equations", "eager"), ("foveate", "eager")),
            *(("plain", "default"), ("equations", "default"), ("foveate", "default")),
        ]
        compiled = found["contenders"][-1]
        assert compiled["off"] < 1e-5
        times = {(one["network"], one["form"]): one["ms_p50"] for one in found["contenders"]}
        assert compiled["over_of_form"]["ratio"] == pytest.approx(
            times["foveate", "default"] / times["plain", "default"], rel=0.5
        )
        assert found["contenders"][4]["over_of_form"]["ratio"] == 1
        assert found["contenders"][4]["adds"]["median"] == 0
    assert said.count("compiled in") == 6
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| se in cifar_resnet8, training, batch 2, contiguous | eager | " in page
    assert page.count("|  | compiled, default | ") == 2
    return [one for found in (inference, training) for one in found["contenders"]]


def test_figures_go_to_the_terminal_the_page_and_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    price = importlib.import_module("compiled_price")
    monkeypatch.setattr(price, "in_new_process", lambda work, *given: work(*given))
    files = ["--write", str(tmp_path / "page.md"), "--json", str(tmp_path / "figures.json")]
    assert price.main([*SMALL, *files]) == 0
    check_the_run(tmp_path, capsys.readouterr().out)


@pytest.mark.full  # eight processes import torch
@pytest.mark.slow
def test_each_network_is_compiled_in_a_process_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    price = importlib.import_module("compiled_price")
    files = ["--write", str(tmp_path / "page.md"), "--json", str(tmp_path / "figures.json")]
    assert price.main([*SMALL, *files]) == 0
    contenders = check_the_run(tmp_path, capsys.readouterr().out)
    assert all(one["compile_seconds"] > 0 for one in contenders if one["form"] == "default")


@pytest.mark.full  # inductor compiles three blocks
@pytest.mark.slow
def test_blocks_say_which_path_is_faster_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = importlib.import_module("compiled_blocks")
    small = ["--attention", "simam", "--maps", "4x5", "--seconds", "0", "--threads", "1"]
    assert blocks.main([*small, "--forms", "default"]) == 0
    title, eager, compiled = capsys.readouterr().out.splitlines()
    assert title == "simam, inference, map of 1×4×5×5"
    assert [line.split()[0] for line in (eager, compiled)] == ["eager", "default"]
    assert "reference adds" in compiled
    assert "numba / reference" in compiled


def compiled_record(ratio: float, more: tuple[float, float]) -> dict[str, Any]:
    def figures(network: str, form: str, over: float) -> dict[str, Any]:
        ratios = {"ratio": over, "quartiles": (over, over), "interval": (over - 0.01, over + 0.01)}
        added = {"median": 5.0, "interval": (4.0, 6.0)}
        said = {
            "network": network,
            "form": form,
            "ms_p50": 60.0,
            "over_plain": ratios,
            "over_of_form": ratios,
        }
        proof = {"compile_seconds": 30.0, "off": 1e-6, "gradients_off": None}
        return said | {"adds": added, "adds_more": {"median": 0.0, "interval": more}} | proof

    form = {"mechanism": "dmsca", "backbone": "resnet50", "image_size": 224, "batch_size": 1, "rounds": 11}
    form |= {"memory_format": "contiguous", "dtype": "float32", "mode": "inference", "graph": False}
    names = [("plain", "eager", 1.0), ("foveate", "eager", 1.2), ("plain", "default", 0.8)]
    contenders = [figures(*name) for name in [*names, ("foveate", "default", ratio)]]
    versions = dict.fromkeys(("foveate", "torch", "timm", "numba", "triton", "python", "platform"), "1")
    where = versions | {"processor": "A", "cores": 2, "threads": 2, "accelerator": "cpu"}
    head = {"benchmark": "compiled_price", "environment": where, "date": "2026-01-02", "command": "c"}
    return head | {"seconds": 1.0, "comparisons": [form | {"contenders": contenders}]}


@pytest.mark.parametrize(
    ("ratio", "more", "said"),
    [
        (1.10, (-2.0, 0.0), "at most +12 %: reached; no more than eager: reached"),
        (1.12, (-2.0, 1.0), "at most +12 %: open: the goal is in the interval; no more than eager: open"),
        (1.14, (0.5, 1.0), "at most +12 %: not reached; no more than eager: not reached"),
    ],
)
def test_the_goals_of_a_compiled_network(ratio: float, more: tuple[float, float], said: str) -> None:
    goals = importlib.import_module("compiled_goals")
    (found,) = compiled_record(ratio, more)["comparisons"]
    eager, default = goals.rows_of(found)
    assert goals.judge_compiled(found, default) == said
    assert goals.judge_compiled(found, eager) == ""
    assert goals.judge_compiled(found | {"mode": "training"}, default) == ""


def test_the_table_stays_where_the_rest_of_its_section_is_written_anew() -> None:
    page = importlib.import_module("performance_page")
    priced = importlib.import_module("test_benchmarks")
    record = priced.record("cpu", 2, priced.comparison())
    alone = page.put_compiled("", compiled_record(1.11, (-1.0, 0.0)))
    assert list(page.read_sections(alone)) == ["CPU: A, 2 threads"]
    text = page.put_section(alone, record, [])
    assert "| dmsca in resnet50, inference, batch 1, contiguous | 100 | " in text
    assert "|  | compiled, default | −20.0 % " in text
    again = page.put_compiled(text, compiled_record(1.30, (-1.0, 0.0)))
    assert again.count("### Beside torch.compile\n") == 1
    assert "| +11.0 % " not in again
    assert "| +30.0 % [29.0, 31.0] (30.0 … 30.0) | +5.00 ms [4.00, 6.00] | 30 / 30 | at most +12 %: " in again


def test_the_kept_figures_are_those_of_foveate_in_each_form() -> None:
    figures = importlib.import_module("bench_figures")
    (one,) = figures.read_figures(compiled_record(1.11, (-1.0, 0.0)))
    assert one.name.endswith("contiguous, compiled, default: over the baseline of that form")
    assert (one.ratio, one.measures) == (1.11, "price")
