"""`pip install foveate` without an extra: what plugs in works, and the rest says which extra it needs."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

from foveate.extras import ASKED_FOR, BENCH, check_bench, without_bench
from installed import hide_all_but

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
SENTENCE = "needs the bench: pip install 'foveate[bench]'"

PROGRAM = """
import contextlib, importlib, io, json, sys
from importlib.util import find_spec

found = {"importable": [name for name in BENCH if find_spec(name)]}

import foveate, timm, torch

x = torch.randn(2, 3, 32, 32)
network = timm.create_model("cifar_resnet8", num_classes=4).eval()
before = network(x)
assert isinstance(foveate.create_attention("sgfa", channels=16), torch.nn.Module)
assert len(foveate.sites(network)) > 3
foveate.attach(network, "dmsca", where="block", identity_init=True)
assert (network(x) == before).all()
foveate.set_path(network, "reference")
with foveate.capture(network) as maps:
    network(x)
foveate.save(network, "network.safetensors")
assert (foveate.load("network.safetensors")(x) == network(x)).all()
assert not foveate.attached(foveate.detach(network))
named = timm.create_model("resnet18_se", num_classes=4)
found["works"] = [len(foveate.list_attention()), len(maps), len(foveate.attached(named))]
found["exported"] = foveate.export(network, "network.pt2", "exported-program").format

found["refused"] = {}
for name in PACKAGES:
    try:
        importlib.import_module(f"foveate.{name}")
    except ImportError as error:
        found["refused"][name] = str(error)

import foveate_command

sys.argv = ["foveate", "compare", "--data", "digits"]
with contextlib.redirect_stderr(io.StringIO()) as said:
    try:
        foveate_command.main()
    except SystemExit as end:
        found["status"] = end.code
found["said"] = said.getvalue()
print(json.dumps(found))
"""


def names_of(requirements: Sequence[str]) -> set[str]:
    """`scikit-learn` for "scikit-learn>=1.4"; nothing for another extra of foveate."""
    names = {re.split(r"[<>=\[]", line)[0].lower() for line in requirements}
    return names - {"foveate"}


class Found(NamedTuple):
    """What the program said of itself."""

    importable: list[str]
    works: list[int]
    exported: str
    refused: dict[str, str]
    status: int
    said: str


NEED_THE_BENCH = sorted(
    file.parent.name
    for file in (ROOT / "src" / "foveate").glob("*/__init__.py")
    if file.parent.name not in {"attention", "kernels", "models"}
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("minimal")
    hide_all_but(folder, sorted(names_of(PROJECT["dependencies"])))
    path = os.pathsep.join([str(folder), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", f"BENCH, PACKAGES = {sorted(BENCH)}, {NEED_THE_BENCH}\n{PROGRAM}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def test_plugging_in_needs_four_packages_and_what_they_need(found: Found) -> None:
    assert names_of(PROJECT["dependencies"]) == {"torch", "timm", "safetensors", "numpy"}
    # What torch, and torchvision for timm, bring. Nothing else of the bench was there.
    assert set(found.importable) <= {"PIL", "filelock", "jinja2", "torchvision", "yaml"}
    mechanisms, captured, attached = found.works
    assert mechanisms >= 12
    assert captured == 3  # the blocks of cifar_resnet8
    assert attached == 8  # those of resnet18
    assert found.exported == "exported-program"


def test_every_other_package_says_in_one_sentence_what_it_needs(found: Found) -> None:
    assert sorted(found.refused) == NEED_THE_BENCH
    assert all(SENTENCE in said and "\n" not in said for said in found.refused.values())


def test_the_command_says_so_too_and_the_request_was_wrong(found: Found) -> None:
    assert found.said == f"foveate: the command foveate {SENTENCE} ({ASKED_FOR[0]} is not installed)\n"
    assert found.status == 2


def test_the_bench_is_the_extra_of_that_name() -> None:
    owners = packages_distributions()
    assert {owner.lower() for name in BENCH for owner in owners[name]} == names_of(EXTRAS["bench"])
    assert set(ASKED_FOR) < BENCH


def test_what_a_part_of_the_bench_needs_comes_with_its_extra() -> None:
    ours = set(re.findall(r"[a-z0-9]+", EXTRAS["all"][0].partition("[")[2]))
    assert ours == EXTRAS.keys() - {"all", "docs", "dev"}
    assert EXTRAS["dev"][0] == "foveate[all,docs]"
    for name in ours - {"bench", "fast", "onnx"}:  # these two are for plugging in
        assert EXTRAS[name][0] in ("foveate[bench]", "foveate[explain]")


def test_a_package_of_the_bench_is_missed_before_anything_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_bench("foveate.studies")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(ModuleNotFoundError, match="foveate.studies needs the bench") as raised:
        check_bench("foveate.studies")
    assert raised.value.name == "torchmetrics"
    assert without_bench(ModuleNotFoundError(name="scipy.stats")) is not None
    assert without_bench(ModuleNotFoundError(name="their_module")) is None
    assert without_bench(ModuleNotFoundError()) is None


def test_a_command_that_misses_one_later_says_so(
    in_process: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "foveate.report.catalogue.console", raising=False)
    monkeypatch.setitem(sys.modules, "rich.table", None)
    assert in_process("list", folder=tmp_path) == 2
    assert capsys.readouterr().err == f"foveate: the command foveate {SENTENCE} (rich is not installed)\n"
    monkeypatch.setitem(sys.modules, "foveate.report.catalogue.console", None)
    with pytest.raises(ModuleNotFoundError, match=r"foveate\.report\.catalogue"):
        in_process("list", folder=tmp_path)
