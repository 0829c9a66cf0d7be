"""The picture of a report that README.md shows: Chromium's view of the page of a study that is kept."""

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from foveate.errors import RequestError, WorkError
from foveate.files import write_bytes, write_text
from foveate.report.core.files import as_svg
from foveate.report.study.charts import cost_figures
from foveate.report.study.page import render_page
from foveate.report.study.summary import Summary
from keep import ROOT, read_results

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # The page asks for nothing; if it did, it would not be found. Vega draws within this time.
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000"),
    "--blink-settings=preferredColorScheme=1",
)
WIDTH, HEIGHT = 1240, 1745
"""A page of A4 at 150 dots per inch."""
COLOURS = 128


def draw_report(name: str, root: Path = ROOT) -> Path:
    """Draw the report of results/`name` into docs/report.png, and return that path.

    The record that is kept has no curves and no classes: the picture shows what stands before these.

    Raises:
        RequestError: no such study is kept, or there is no Chromium.
        WorkError: Chromium failed.
    """
    kept = read_results(root)
    if name not in kept:
        raise RequestError(f"results has no study {name!r}: it has {', '.join(kept)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "index.html"
        write_text(page, kept_page(kept[name].summary))
        drawn = screenshot(page)
    picture = root / "docs" / "report.png"
    write_bytes(picture, drawn)
    return picture


def kept_page(summary: Summary) -> str:
    """Return the page of a study of which only the summary is kept."""
    return render_page(summary, [(figure, as_svg(figure)) for figure in cost_figures(summary)])


def screenshot(page: Path) -> bytes:
    """Return the top of `page` as a PNG of few colours."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise RequestError(f"the picture is drawn by Chromium: none of {', '.join(BROWSERS)} is on the PATH")
    shot = page.parent / "shot.png"
    done = subprocess.run(
        [
            *(
                browser,
                *FLAGS,
                f"--user-data-dir={page.parent / 'profile'}",
                f"--window-size={WIDTH},{HEIGHT}",
            ),
            *(f"--screenshot={shot}", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if not shot.is_file():
        raise WorkError(
            f"{browser} drew no picture of {page} (exit status {done.returncode}): {done.stderr[-500:]}"
        )
    with Image.open(shot) as whole:
        few = whole.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    content = io.BytesIO()
    few.save(content, "PNG", optimize=True)
    return content.getvalue()
