"""Pages of docs/ with what is to be typed: it is run in order, and prints what the page shows.

Numbers may differ, as accuracies do between processors and latencies on every run; the words may not. A line
that is only "…" stands for any lines, which depend on the machine.
`FOVEATE_WRITE_DOCS=1 python -m pytest tests/test_docs_pages.py` writes what is printed into the page, but
leaves blocks with such a line alone.
"""

import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import foveate.studies  # noqa: F401  (then conftest.py lets studies time their networks briefly)

ROOT = Path(__file__).parents[1]
PAGES = ("tutorial.md", "own-mechanism.md")
BLOCK = re.compile(r'^```(\w+)(?: title="([\w.]+)")?\n(.*?)^```$', flags=re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?:[<=] ?)?[+−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?: \?)?")
ANYTHING = re.compile(r"^…$", flags=re.MULTILINE)
# Said only on a busy machine.
PASSING = re.compile(
    r"^Latencies\s+were\s+measured\s+on\s+a\s+busy\s.*?measured\s+anew\.\n|^[^\n]*runs finished; [^\n]*\n",
    flags=re.MULTILINE | re.DOTALL,
)


class Step(NamedTuple):
    """A block that is run, or the `file` that it is, and the block of text after it with what it prints."""

    language: str
    file: str
    code: str
    shown: str | None


def steps(page: Path) -> Iterator[Step]:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    for (language, file, code), after in zip(blocks, [*blocks[1:], ("", "", "")], strict=True):
        if language != "text":
            yield Step(language, file, code, after[2] if after[0] == "text" else None)


def words(text: str) -> str:
    """The text with every number as N: lines may break elsewhere, and columns be wider."""
    return " ".join(NUMBER.sub("N", text).split())


def matches(shown: str, printed: str) -> bool:
    parts = (re.escape(words(part)) for part in ANYTHING.split(shown))
    return re.fullmatch(r"\s*.*\s*".join(parts), words(printed)) is not None


def printed_by(step: Step, run: Callable[[list[str]], str]) -> str:
    if step.language == "python":
        return run(["python", step.code])
    lines = step.code.replace("\\\n", " ").splitlines()
    return "".join(run(shlex.split(line, comments=True)) for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_the_page_prints_what_it_shows(
    name: str,
    tmp_path: Path,
    in_process: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})  # one thread: tests share the cores
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "tutorial"}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]

    def run(arguments: list[str]) -> str:
        if arguments[0] == "python":
            exec(arguments[1], names)
        elif arguments[:2] == ["pip", "install"]:
            found = re.fullmatch(r"foveate\[(\w+)\]", arguments[2])
            assert found is not None
            assert found[1] in extras
        else:
            assert arguments[0] == "foveate"
            assert in_process(*arguments[1:], folder=tmp_path) == 0, capsys.readouterr().err
        return PASSING.sub("", capsys.readouterr().out).replace(str(tmp_path), "/home/you")

    path = ROOT / "docs" / name
    page = path.read_text(encoding="utf-8")
    wrong = []
    for step in steps(path):
        if step.file:
            (tmp_path / step.file).write_text(step.code)
            continue
        printed = "\n".join(line.rstrip() for line in printed_by(step, run).splitlines()).strip("\n")
        if step.shown is None or matches(step.shown, printed):
            continue
        wrong.append((step.code, step.shown, printed))
        if not ANYTHING.search(step.shown):
            before = f"```{step.language}\n{step.code}```\n\n```text\n"
            page = page.replace(f"{before}{step.shown}```", f"{before}{printed}\n```")
    if os.environ.get("FOVEATE_WRITE_DOCS"):
        path.write_text(page, encoding="utf-8")
        wrong = [one for one in wrong if ANYTHING.search(one[1])]
    assert wrong == []


def test_words_are_compared_and_numbers_are_not() -> None:
    shown = "se  0.93 ± 0.01\n…\nReport: page"
    assert matches(shown, "se  0.9 ±  0.012\n\nany\nlines\nReport:\npage")
    assert matches(shown, "se  0.9 ± 1e-05 Report: page")
    assert matches("adjusted p = 0.003", "adjusted p < 0.001")
    assert not matches(shown, "cbam  0.93 ± 0.01\nany lines\nReport: page")
    assert not matches(shown, "se  0.93 ± 0.01\nReport: page, and more")
    assert (
        PASSING.sub("", "a\nLatencies were measured on a busy machine: 3\nare\nmeasured anew.\nb\n")
        == "a\nb\n"
    )
