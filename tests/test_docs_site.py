"""The documentation as a site: `make docs` without a broken link, an unknown name or a lost page."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_site_is_built_strictly_with_every_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "not included in the" not in done.stderr  # nav
    start = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "make compare" in start
    assert 'src="report.png"' in start
    assert 'href="plugging-in/"' in start
    assert "/main/" not in start  # README's links into the repository are links of the site
    names = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    assert all(f'id="foveate.{name}"' in names for name in ("attach", "sites", "export", "kernel_paths"))
    assert "http" not in [
        word[:4] for word in names.split('src="')[1:]
    ]  # nothing is loaded from another server
