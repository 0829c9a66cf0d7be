"""What the site needs beside the pages: README as its start, and links to files outside docs/ as paths."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[([^\]]+)\]\(([^)#:]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add README as index.md; its links are relative to the project, and become relative to docs/."""

    def turned(link: re.Match[str]) -> str:
        text, path, anchor = link[1], link[2], link[3] or ""
        target = path.removeprefix("docs/") if path.startswith("docs/") else f"../{path}"
        return f"[{text}]({target}{anchor})"

    text = LINK.sub(turned, (ROOT / "README.md").read_text(encoding="utf-8"))
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
