"""What the site needs beside the pages: README as its start, and links to files outside docs/ as paths."""

import re
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
RAW = REPOSITORY.replace("github.com", "raw.githubusercontent.com")
# README is shown on a package index too, so its links are absolute; most are defined at its end.
HERE = re.compile(rf"(?:{re.escape(REPOSITORY)}/(?:blob|tree)|{re.escape(RAW)})/main/")
DEFINITION = re.compile(r"^\[([^\]]+)\]: (\S+)\n", re.MULTILINE)
REFERENCE = re.compile(r"\[([^\]]+)\](?:\[([^\]]+)\])?(?![(\[:])")
LINK = re.compile(r"\[([^\]]+)\]\(([^)#:]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add README as index.md; its links into the repository become relative to docs/."""
    text = HERE.sub("", (ROOT / "README.md").read_text(encoding="utf-8"))
    places = dict(DEFINITION.findall(text))

    def inlined(link: re.Match[str]) -> str:
        place = places.get(link[2] or link[1])
        return f"[{link[1]}]({place})" if place else link[0]

    def turned(link: re.Match[str]) -> str:
        text, path, anchor = link[1], link[2], link[3] or ""
        target = path.removeprefix("docs/") if path.startswith("docs/") else f"../{path}"
        return f"[{text}]({target}{anchor})"

    text = LINK.sub(turned, REFERENCE.sub(inlined, DEFINITION.sub("", text)))
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Write a link to a file outside docs/ as its path: the site has the pages only."""

    def turned(link: re.Match[str]) -> str:
        text, path = link[1], link[2]
        if not path.startswith("../"):
            return link[0]
        path = path.removeprefix("../")
        return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}`)"

    return LINK.sub(turned, markdown)
