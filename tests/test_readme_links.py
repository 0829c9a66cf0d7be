"""README as a package index shows it: its links are absolute, and each leads to a file of this tree."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```|`[^`\n]*`", "", README, flags=re.DOTALL)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
RAW = REPOSITORY.replace("github.com", "raw.githubusercontent.com")
DEFINED = dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", PROSE, flags=re.MULTILINE))
LINKS = [*re.findall(r"\]\(([^)\s]+)\)", PROSE), *DEFINED.values()]
PICTURES = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PROSE)


def leads_to(link: str) -> Path | None:
    """The file of this tree; None for a link to elsewhere."""
    found = re.fullmatch(rf"(?:{REPOSITORY}/(blob|tree)|{RAW})/main/([^#]+)(#.*)?", link)
    if found is None:
        return None
    place = ROOT / found[2]
    assert place.is_dir() if found[1] == "tree" else place.is_file(), link
    return place


def test_every_link_is_absolute() -> None:
    assert [link for link in LINKS if not link.startswith("https://")] == []


def test_every_link_into_the_repository_leads_to_a_file() -> None:
    places = [leads_to(link) for link in LINKS if link.startswith((REPOSITORY, RAW))]
    assert len(places) > 15
    assert None not in places


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_are_fetched_as_files(picture: str) -> None:
    assert picture.startswith(f"{RAW}/main/docs/")
    assert leads_to(picture)


def test_every_file_that_is_named_as_a_link_is_defined() -> None:
    named = re.findall(r"\[([\w/.-]+\.(?:md|cff))\](?![(\[:])", PROSE)
    named += re.findall(r"\]\[([^\]]+)\]", PROSE)
    assert set(named) == DEFINED.keys()


def test_the_repository_has_one_address() -> None:
    assert all(url.startswith(REPOSITORY) for url in PROJECT["urls"].values())
    assert all(leads_to(url) for url in PROJECT["urls"].values() if "/main/" in url)
    assert f"repository-code: {REPOSITORY}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
