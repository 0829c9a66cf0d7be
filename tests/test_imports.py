"""Who may import whom, as the layout says: records <- report; kernels <- attention <- models <- … <- cli."""

import ast
import functools
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import foveate

ROOT = Path(foveate.__file__).parent
FREE = {
    "calls",
    "errors",
    "extras",
    "files",
    "known_names",
    "lazy",
    "modes",
    "names",
    "notation",
    "references",
    "torch_private",
    "version",
    "yaml_text",
}  # for all; they import none but each other
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
TORCH = {"torch", "torchvision", "timm", "lightning"}

CORE = ("kernels", "attention", "models")
MEASURED = ("data", "evaluation", "records")
WORK = (*CORE, *MEASURED, "tasks", "training", "studies")
# What of foveate a package may import beside itself and FREE: it stands above these, and below all others.
ALLOWED = {
    "kernels": (),
    "attention": CORE[:1],
    "models": CORE[:2],
    "records": (),
    "storage": ("records",),  # the names of its files
    "data": ("records",),
    "evaluation": ("records",),
    "tasks": (*CORE, *MEASURED),
    "training": (*CORE, *MEASURED, "tasks"),
    "studies": (*WORK[:-1], "storage"),
    "profiling": WORK,
    "inspection": WORK,
    "look": (*WORK, "inspection"),
    "report": ("records", "evaluation"),
    "cli": (*WORK, "storage", "profiling", "inspection", "look", "report"),
    "run": ("models",),
    "registration": ("models",),
}
# The same within a package, folder by folder; what stands in no folder of it is above all of them.
WITHIN = {
    "models": ("sites", "backbones", "dense", "checkpoint", "export", "folding"),
    "studies": ("spec", "engine"),
    "report": ("core", "study"),
}
WITHOUT = {  # packages of others that a package does without
    **dict.fromkeys(CORE, BENCH),
    "run": BENCH,
    "records": TORCH,
    "storage": TORCH,
    "report": TORCH,
}


def imports(file: Path) -> set[str]:
    """All that a file imports, wherever it does: `foveate.training.fit.fit`, `torch.nn`."""
    package = ("foveate", *file.relative_to(ROOT).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
            origin = base if node.level else str(node.module)
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return names


def packages(file: Path) -> set[str]:
    """The packages that a file imports: `training` for foveate.training.fit, `torch` for torch.nn."""
    parts = (name.split(".") for name in imports(file))
    return {part[1] if part[0] == "foveate" and part[1:] else part[0] for part in parts}


def package_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def folder_of(name: str, package: str) -> str | None:
    """The folder of `package` in which the module of an imported name lies: `spec` for studies.spec.study."""
    parts = name.split(".")
    is_there = parts[:2] == ["foveate", package] and parts[2:3] and parts[2] in WITHIN[package]
    return parts[2] if is_there else None


FILES = sorted(file for file in ROOT.rglob("*.py") if package_of(file) not in {"__init__", *FREE})


@functools.cache
def file_graph() -> dict[str, set[str]]:
    """Each file with the files of foveate that it imports, by their dotted names."""

    def dotted(file: Path) -> str:
        parts = file.relative_to(ROOT).with_suffix("").parts
        return ".".join(("foveate", *parts)).removesuffix(".__init__")

    files = {dotted(file): file for file in ROOT.rglob("*.py")}
    graph = {}
    for name, file in files.items():
        found = {part for part in imports(file) if part.startswith("foveate")}
        homes = {full if full in files else full.rpartition(".")[0] for full in found}
        graph[name] = (homes & files.keys()) - {name, "foveate"}
    return graph


def test_every_package_has_its_line():
    assert {package_of(file) for file in FILES} == set(ALLOWED)


@pytest.mark.parametrize("module", sorted(FREE))
def test_what_all_may_import_imports_no_package(module):
    assert packages(ROOT / f"{module}.py") & set(ALLOWED) == set()


@pytest.mark.parametrize("package", ALLOWED)
def test_package_keeps_the_direction(package):
    forbidden = (set(ALLOWED) - {package, *ALLOWED[package]}) | WITHOUT.get(package, set())
    wrong = {
        str(file.relative_to(ROOT)): sorted(packages(file) & forbidden)
        for file in FILES
        if package_of(file) == package and packages(file) & forbidden
    }
    assert wrong == {}


@pytest.mark.parametrize("package", WITHIN)
def test_folders_of_a_package_keep_the_direction(package):
    wrong = {}
    for file in FILES:
        parts = file.relative_to(ROOT).parts
        if parts[0] == package and parts[1] in WITHIN[package]:
            above = set(WITHIN[package][WITHIN[package].index(parts[1]) + 1 :])
            found = {name for name in imports(file) if folder_of(name, package) in above}
            if found:
                wrong[str(file.relative_to(ROOT))] = sorted(found)
    assert wrong == {}


def test_allowed_directions_have_no_circle():
    graphlib.TopologicalSorter(ALLOWED).prepare()  # raises CycleError and names the cycle


def test_no_files_import_each_other_in_a_circle():
    graphlib.TopologicalSorter(file_graph()).prepare()


@pytest.mark.parametrize("package", ["records", "storage", "report"])
def test_what_reads_records_reaches_no_torch(package):
    graph = file_graph()
    todo = [name for name in graph if name.split(".")[1:2] == [package]]
    reached = set(todo)
    while todo:
        new = graph[todo.pop()] - reached
        reached |= new
        todo += new
    files = {name: ROOT.joinpath(*name.split(".")[1:]) for name in reached}
    sources = {
        name: path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for name, path in files.items()
    }
    assert {name for name, source in sources.items() if packages(source) & TORCH} == set()


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
    assert packages(file) == {"torch", "training", "cli", "data", "models", "pandas"}
