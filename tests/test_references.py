"""References to a person's own class, and the source code that they stand for."""

from pathlib import Path

import pytest

from foveate.errors import RequestError
from foveate.references import Reference, read_reference, read_sources

CLASS = "class Mine:\n    pass\n"


@pytest.mark.parametrize(
    ("text", "place", "name", "short"),
    [
        ("mine.py:Mine", "mine.py", "Mine", "mine.py:Mine"),
        (" ../a b/mine.py:Mine ", "../a b/mine.py", "Mine", "mine.py:Mine"),
        ("C:/code/mine.py:Mine", "C:/code/mine.py", "Mine", "mine.py:Mine"),
        ("package.module:Mine", "package.module", "Mine", "package.module:Mine"),
    ],
)
def test_a_reference_is_a_place_and_a_name(text: str, place: str, name: str, short: str) -> None:
    reference = read_reference(text)
    assert reference == Reference(place, name)
    assert reference.short == short
    assert str(reference) == text.strip()


@pytest.mark.parametrize("text", ["mine.py:", ":Mine", "mine.py:Mine.inner", "a-b:Mine", ":"])
def test_what_is_no_reference_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RequestError, match="such as mine.py:MyAttention"):
        read_reference(text)


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__in__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_sources_are_the_file_and_what_it_imports_beside_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        mine="import os, parts\nfrom helper import scale\n" + CLASS,
        helper="from deep__in__er import x\n".replace("__in__", "."),
        deep__in__er="import helper\nx = 1\n",
        parts__in____init__="from . import one\n",
        parts__in__one="import torch\n",
        unused="x = 1\n",
    )
    sources = read_sources(read_reference(f"{tmp_path}/mine.py:Mine"))
    assert sources.main == "mine.py"
    assert set(sources.files) == {"mine.py", "helper.py", "deep/er.py", "parts/__init__.py", "parts/one.py"}


def test_the_digest_changes_with_any_of_the_files_and_not_with_their_folder(tmp_path: Path) -> None:
    def digest(folder: str, **changes: str) -> str:
        files = {"mine": "import helper\n" + CLASS, "helper": "x = 1\n", "other": "y = 1\n"}
        write(tmp_path / folder, **(files | changes))
        return read_sources(read_reference(f"{tmp_path / folder}/mine.py:Mine")).digest

    first = digest("a")
    assert digest("b") == first
    assert digest("a", other="y = 2\n") == first
    changed = {digest("c", helper="x = 2\n"), digest("d", mine="import helper  # \n" + CLASS)}
    assert len({first, *changed}) == 3


def test_the_files_of_a_module_are_those_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        pack__in____init__="",
        pack__in__mine="import torch\nfrom .helper import x\nfrom pack.other import y\nimport lone\n" + CLASS,
        pack__in__helper="x = 1\n",
        pack__in__other="y = 1\n",
        lone="z = 1\n",
    )
    monkeypatch.syspath_prepend(tmp_path)
    sources = read_sources(read_reference("pack.mine:Mine"))
    assert sources.main == "pack/mine.py"
    assert set(sources.files) == {"pack/__init__.py", "pack/mine.py", "pack/helper.py", "pack/other.py"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class Mine(:\n", "mine.py, line 1 is not valid Python"),
        ("class Mime:\n    pass\n", "unknown class 'Mine'. Did you mean 'Mime'"),
        ("Mine = make()\n", None),
        ("from elsewhere import *\n", None),
        ("from elsewhere import Other as Mine\n", None),
    ],
)
def test_a_file_without_the_class_is_refused(tmp_path: Path, text: str, words: str | None) -> None:
    write(tmp_path, mine=text)
    reference = read_reference(f"{tmp_path}/mine.py:Mine")
    if words is None:
        assert read_sources(reference).files["mine.py"] == text
        return
    with pytest.raises(RequestError, match=words):
        read_sources(reference)


def test_what_is_not_there_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match="the file mine.py is not there"):
        read_sources(read_reference("mine.py:Mine"))
    with pytest.raises(
        RequestError, match=r"there is no module mime .* is named with its ending: mime.py:Mine"
    ):
        read_sources(read_reference("mime:Mine"))
    with pytest.raises(RequestError, match="a.b.c cannot be found"):
        read_sources(read_reference("a.b.c:Mine"))
    with pytest.raises(RequestError, match="has no source file"):
        read_sources(read_reference("sys:Mine"))
