"""`import foveate` imports nothing heavy, and its names are there as if it had imported them."""

import ast
import importlib
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import foveate
import foveate.data
import foveate.models

LAZY = [foveate, foveate.models, foveate.data]


def run(code: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def names_for_type_checkers(package: object) -> dict[str, str]:
    """The names of a package's TYPE_CHECKING block and the modules that they are imported from."""
    found = {}
    for node in ast.parse(inspect.getsource(package)).body:  # type: ignore[arg-type]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                if str(statement.module).startswith("foveate"):
                    found |= {alias.name: str(statement.module) for alias in statement.names}
    return found


def test_it_imports_nothing_of_others_and_says_what_it_has() -> None:
    assert (
        run(
            "import sys, foveate\n"
            "dir(foveate), foveate.__all__, foveate.__version__\n"
            "print({'torch', 'timm', 'numpy', 'pydantic', 'cyclopts'} & set(sys.modules))"
        )
        == "set()"
    )


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_type_checkers_see_the_names_that_there_are(package: object) -> None:
    seen = names_for_type_checkers(package)
    own = {"explain", "__version__"} if package is foveate else set()
    assert seen.keys() | own == set(package.__all__)  # type: ignore[attr-defined]
    for name, module in seen.items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_all_names_are_listed_before_they_are_used(package: object) -> None:
    name = package.__name__  # type: ignore[attr-defined]
    listed = run(f"import {name} as package; print(set(package.__all__) - set(dir(package)))")
    assert listed == "set()"


def test_modules_are_attributes_before_anybody_imports_them_and_star_imports_every_name() -> None:
    said = run(
        "import foveate\nprint(foveate.models.sites.find.sites is foveate.sites)\n"
        "print(foveate.attention.list_attention()[0], foveate.kernels.PATHS[0], foveate.models.export)\n"
        "from foveate import *\nprint(set(foveate.__all__) - set(globals()))"
    )
    assert said.startswith("True\na2 auto <module ")
    assert said.endswith("\nset()")


def test_a_name_that_is_not_there_is_said_as_python_says_it() -> None:
    with pytest.raises(AttributeError, match="module 'foveate' has no attribute 'atach'"):
        foveate.atach  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'atach' from 'foveate'"):
        from foveate import atach  # noqa: F401
    assert not hasattr(foveate, "training_")


def test_names_are_pickled_and_the_package_is_imported_again() -> None:
    for name in ("attach", "Site", "create_attention", "explain"):
        assert pickle.loads(pickle.dumps(getattr(foveate, name))) is getattr(foveate, name)
    before = foveate.attach
    assert importlib.reload(foveate).attach is before


CREATE = "print(type(timm.create_model('cifar_resnet8_se')).__name__, 'resnet50_dmsca' in timm.list_models())"


@pytest.mark.parametrize(
    "imports",
    [
        "import foveate, importlib.util\nassert importlib.util.find_spec('timm')\n"
        "from timm.layers import Mlp\nimport importlib, timm\nimportlib.reload(foveate)",
        pytest.param("import foveate, timm", marks=pytest.mark.full),
        pytest.param("import timm, foveate", marks=pytest.mark.full),
        pytest.param("import foveate.models.backbones.registry, timm", marks=pytest.mark.full),
    ],
)
def test_the_names_are_registered_with_timm_whichever_is_imported_first(imports: str) -> None:
    assert run(f"{imports}\n{CREATE}") == "CifarResNet True"


def test_timm_is_as_it_is_without_foveate_once_it_is_imported() -> None:
    said = run(
        "import sys, importlib.resources, inspect\nbefore = list(sys.meta_path)\nimport foveate, timm\n"
        "print(sys.meta_path == before, 'def ' in inspect.getsource(timm.models.resnet), "
        "importlib.resources.files('timm').is_dir(), type(timm.__loader__).__name__)"
    )
    assert said == "True True True SourceFileLoader"


def test_an_import_of_timm_that_fails_can_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "timm.py").write_text("raise ImportError('broken')\n")
    said = run(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport foveate\n"
        "try:\n    import timm\nexcept ImportError as error:\n    print(error)\n"
        f"sys.path.remove({str(tmp_path)!r})\nimport timm\n{CREATE}"
    )
    assert said.splitlines() == ["broken", "CifarResNet True"]
