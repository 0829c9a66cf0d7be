"""Opens a page in a real Chromium that reaches nothing."""

import subprocess
from html.parser import HTMLParser
from pathlib import Path

from chromium import CHROMIUM


def open_page(page: Path, profile: Path, *flags: str, width: int = 1400) -> subprocess.CompletedProcess[str]:
    """The page's DOM once its scripts have run as standard output, its complaints as standard error."""
    return subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            "--host-resolver-rules=MAP * ~NOTFOUND",
            *(
                "--enable-logging=stderr",
                "--v=0",
                f"--window-size={width},900",
                "--virtual-time-budget=20000",
            ),
            f"--user-data-dir={profile}",
            *flags,
            *("--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


class Outline(HTMLParser):
    """The tags, the addresses that a browser would fetch, and the text outside of scripts and styles."""

    def __init__(self, page: str):
        super().__init__()
        self.tags = [""]
        self.fetched: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for key, value in attrs if key == "src" or (tag == "link" and key == "href")]

    def handle_data(self, data):
        if self.tags[-1] not in ("script", "style"):
            self.text += data
