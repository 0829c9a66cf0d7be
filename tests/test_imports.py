"""Who may import whom: kernels <- attention <- models <- training <- studies <- cli, others beside."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import foveate

ROOT = Path(foveate.__file__).parent
FREE = {"errors", "files", "names", "version", "yaml_text"}  # for all; they import none but each other
BENCH = {
    "altair",
    "art",
    "cv2",
    "datasets",
    "gradio",
    "lightning",
    "pandas",
    "matplotlib",
    "plotly",
    "pydantic",
    "pytorch_grad_cam",
    "scipy",
    "sklearn",
    "torchmetrics",
}

# What a package may not import, of foveate and of others.
ABOVE = {"look", "cli", "cli_examine", "cli_flags", "cli_output", "cli_process", "cli_studies"}
FORBIDDEN = {
    "kernels": {"attention", "models", "training", "studies", "data", "evaluation", "report"} | ABOVE | BENCH,
    "attention": {"models", "training", "studies", "data", "evaluation", "report"} | ABOVE | BENCH,
    "models": {"training", "studies", "data", "evaluation", "report"} | ABOVE | BENCH,
    "data": {"models", "training", "studies"} | ABOVE,
    "evaluation": {"models", "training", "studies"} | ABOVE,
    "training": {"studies", "report"} | ABOVE,
    "studies": ABOVE,
    "report": {
        "kernels",
        "attention",
        "models",
        "training",
        "data",
        "torch",
        "torchvision",
        "timm",
        "lightning",
    }
    | ABOVE,
    "look": ABOVE - {"look"},
    "cli": set(),
    "cli_examine": set(),
    "cli_flags": set(),
    "cli_output": set(),
    "cli_process": set(),
    "cli_studies": set(),
    "run": {"kernels", "attention", "training", "studies", "data", "evaluation", "report"} | ABOVE | BENCH,
}


def imports(file: Path) -> set[str]:
    """The packages that a file imports: `training` for foveate.training.fit, `torch` for torch.nn."""
    package = ("foveate", *file.relative_to(ROOT).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
            origin = base if node.level else str(node.module)
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return {parts[1] if parts[0] == "foveate" else parts[0] for parts in (name.split(".") for name in names)}


def package_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = sorted(file for file in ROOT.rglob("*.py") if package_of(file) not in {"__init__", *FREE})
GRAPH = {
    package: {name for file in FILES if package_of(file) == package for name in imports(file)}
    for package in FORBIDDEN
}


def test_every_package_has_its_line():
    assert {package_of(file) for file in FILES} <= set(FORBIDDEN)


@pytest.mark.parametrize("module", sorted(FREE))
def test_what_all_may_import_imports_no_package(module):
    assert imports(ROOT / f"{module}.py") & set(FORBIDDEN) == set()


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_keeps_the_direction(package):
    wrong = {
        str(file.relative_to(ROOT)): sorted(imports(file) & FORBIDDEN[package])
        for file in FILES
        if package_of(file) == package and imports(file) & FORBIDDEN[package]
    }
    assert wrong == {}


def test_no_two_packages_import_each_other():
    own = {package: (names & set(FORBIDDEN)) - {package} for package, names in GRAPH.items()}
    graphlib.TopologicalSorter(own).prepare()  # raises CycleError and names the cycle


def test_whoever_only_plugs_in_pays_for_no_bench():
    code = f"import sys, foveate; print(sorted({BENCH} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_imports_are_read_in_all_their_forms(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "folder.py"
    file.write_text(
        "import torch.nn as nn\nfrom foveate import training\nfrom foveate.cli.main import run\n"
        "from . import augment\nfrom ..models.sites import sites\ndef f():\n    import pandas\n"
    )
    assert imports(file) == {"torch", "training", "cli", "data", "models", "pandas"}
