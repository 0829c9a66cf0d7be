"""The bench is an extra: what it imports, and the one sentence where that is not installed.

`pip install foveate` is enough to plug attention in. The command `foveate`, and the packages of foveate that
train, examine, measure and report, need `pip install 'foveate[bench]'`.
"""

from importlib.util import find_spec

__all__ = ["BENCH", "check_bench", "without_bench"]

BENCH = frozenset(
    {
        "PIL",
        "altair",
        "cyclopts",
        "datasets",
        "filelock",
        "jinja2",
        "lightning",
        "pandas",
        "pydantic",
        "rich",
        "scipy",
        "sklearn",
        "torchmetrics",
        "torchvision",
        "vl_convert",
        "yaml",
    }
)
"""The packages of the extra `bench`, by the names that are imported."""

ASKED_FOR = ("cyclopts", "lightning", "pydantic", "torchmetrics")
"""Those that nothing else of foveate's requirements installs: where one is missing, so is the extra."""


def check_bench(package: str) -> None:
    """Raise ModuleNotFoundError with the remedy if `package` of foveate is imported without the bench."""
    for name in ASKED_FOR:
        if find_spec(name) is None:
            raise ModuleNotFoundError(_sentence(package, name), name=name)


def without_bench(error: ModuleNotFoundError) -> str | None:
    """Return the sentence for a command that failed with `error`, or None if that is not of the bench."""
    name = (error.name or "").partition(".")[0]
    return _sentence("the command foveate", name) if name in BENCH else None


def _sentence(who: str, missing: str) -> str:
    return f"{who} needs the bench: pip install 'foveate[bench]' ({missing} is not installed)"
