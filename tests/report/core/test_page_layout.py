"""How pages are laid out: their contents, on a phone, on paper, without scripts."""

import base64
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_profile import RATIOS, make_record, parse
from synthetic_study import write_study

from driven import CHROMIUM, Page, opened
from foveate.report.examined import build_examination
from foveate.report.joined.build import join_reports
from foveate.report.profile.build import write_profile
from foveate.report.study.build import build_report

RECORDS = Path(__file__).parents[2] / "records" / "golden"
KINDS = ("study", "joined", "profile", "examined")
LONG = "dmsca(identity_init=True, reduction=4)"
A4 = round((297 - 2 * 14) / 25.4 * 96), round((210 - 13 - 15) / 25.4 * 96)
"""The part of a landscape page that is printed on, in pixels of CSS."""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
every_kind = pytest.mark.parametrize("kind", KINDS)


def attack_often(path: Path) -> None:
    """Repeat the attacks of a robustness record at many ε: a table of as many columns."""
    record = json.loads(path.read_text(encoding="utf-8"))
    attacked = [row for row in record["rows"] if row["key"].get("eps") is not None]
    for eps in range(10, 22):
        record["rows"] += [row | {"key": row["key"] | {"eps": eps}} for row in attacked]
    path.write_text(json.dumps(record), encoding="utf-8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind, with long names and wide tables."""
    root = tmp_path_factory.mktemp("pages")
    study = write_study(
        root / "study", gains={"none": 0.0, "se": 0.01, LONG: 0.01}, seeds=2, classes=["a", "b"]
    )
    other = write_study(root / "other", gains={"none": 0.0, "cbam": 0.01}, seeds=2, classes=["a", "b"])
    (root / "examined").mkdir()
    for folder in (study, root / "examined"):
        for name in ("robustness.json", "explain-study.json", "transfer-study.json"):
            shutil.copy(RECORDS / name, folder / name.replace("explain-study", "explain"))
        attack_often(folder / "robustness.json")
    joined = join_reports([study, other], root / "joined", "dmsca-article").report
    profile = write_profile(parse(make_record(RATIOS | {LONG: (1.3, 1.2, 1.4)})), root / "profile")
    return {
        "study": build_report(study).report,
        "joined": joined,
        "profile": Path(profile),
        "examined": build_examination(root / "examined"),
    }


@pytest.fixture
def on(pages: dict[str, Path], tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open the page of a kind at a width, once its charts are drawn."""
    with ExitStack() as open_pages:

        def open_page(kind: str, width: int, height: int = 900) -> Page:
            profile = tmp_path / f"profile{width}"
            page = open_pages.enter_context(opened(pages[kind].as_uri(), profile, width, height))
            page.wait_for(
                "document.readyState === 'complete' && "
                "[...document.querySelectorAll('.live')].every(one => one.querySelector('svg'))"
            )
            return page

        yield open_page


def rect(page: Page, element: str) -> dict[str, float]:
    """Where an element lies in the window: `element` is JavaScript."""
    sides = "{left, right, top, bottom}"
    return page.ask(f"(({sides}) => ({sides}))({element}.getBoundingClientRect())")


def all_of(selector: str, condition: str) -> str:
    """JavaScript that is true if `condition` holds of each element `one` that is selected."""
    found = f"[...document.querySelectorAll('{selector}')]"
    return f"{found}.every(one => {condition})"


def beyond(width: str, apart: str = "none") -> str:
    """JavaScript for the starts of what reaches beyond `width`, but for what is within `apart`."""
    is_beyond = f"one.getBoundingClientRect().right > {width} + 1 && !one.closest('{apart}')"
    return (
        f"[...document.querySelectorAll('main *')].filter(one => {is_beyond})"
        ".map(one => one.outerHTML.slice(0, 80))"
    )


def lightness(page: Page, **clip: float) -> float:
    """How light a part of what is seen is, from 0 to 255, once it is drawn."""
    page.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    taken = page.send("Page.captureScreenshot", clip={**clip, "scale": 1})
    return float(np.asarray(Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")).mean())


@every_kind
def test_every_section_has_an_entry_in_the_contents(pages, kind):
    text = pages[kind].read_text(encoding="utf-8").partition('<script type="application/json"')[0]
    heads = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    anchors = re.findall(r'<section[^>]* aria-labelledby="([^"]+)"', text)
    entries = re.findall(r'<li><a href="#([^"]+)">(.*?)</a></li>', text)
    assert len(anchors) >= 3
    assert entries == list(zip(anchors, heads, strict=True))
    assert all(text.count(f'id="{anchor}"') == 1 for anchor in anchors)


@needs_chromium
@every_kind
@pytest.mark.parametrize("width", [320, 390, 1024, 1300])
def test_only_tables_and_pictures_are_wider_than_the_window(on, kind, width):
    page = on(kind, width)
    root = "document.documentElement"
    assert page.ask(f"{root}.scrollWidth <= {root}.clientWidth")
    # Whatever reaches beyond the window is within something that scrolls.
    assert page.ask(beyond(f"{root}.clientWidth", ".scroll, .picture, .live")) == []
    assert page.ask(all_of(".live svg", "one.getBoundingClientRect().right <= innerWidth"))
    assert not page.complaints


@needs_chromium
def test_on_a_phone_the_first_column_stays_and_a_shade_says_that_there_is_more(on):
    page = on("study", 390)
    box = "document.querySelector('#results ~ .scroll')"
    assert page.ask(f"{box}.scrollWidth > {box}.clientWidth + 100")
    page.ask(f"{box}.scrollIntoView(), scrollBy(0, -200)")
    cells = f"[...{box}.querySelectorAll('tbody tr:first-child > *')]"
    place = f"{cells}.map(one => one.getBoundingClientRect().left)"
    before, edges = page.ask(place), rect(page, box)
    # At the right end of the box, above the words of its first line.
    end = {"x": edges["right"] - 4, "y": edges["top"] + page.ask("scrollY") + 4, "width": 3, "height": 3}
    with_more = lightness(page, **end)
    page.ask(f"{box}.scrollLeft = 100")
    after = page.ask(place)
    assert after[0] == pytest.approx(before[0], abs=1)
    assert after[2] == pytest.approx(before[2] - 100, abs=1)
    page.ask(f"{box}.scrollLeft = 10000")
    assert with_more < 235
    assert lightness(page, **end) > 250
    # A long name takes less than half of the line.
    assert page.ask(f"{box}.querySelector('tbody th').offsetWidth") < 175


@needs_chromium
@pytest.mark.parametrize("width", [390, 1400])
def test_the_contents_stay_and_mark_the_section_that_is_read(on, width):
    page = on("study", width)
    is_wide = width > 1000
    marked = "document.querySelector('.toc a[aria-current]').hash"
    assert page.ask(marked) == "#verdict"
    for anchor in page.ask("[...document.querySelectorAll('.toc a')].slice(1, -4).map(one => one.hash)"):
        page.ask(f"document.querySelector('.toc a[href=\"{anchor}\"]').click()")
        page.wait_for(f"{marked} === '{anchor}'")
        toc, head, link = (
            rect(page, f"document.querySelector('{one}')") for one in (".toc", anchor, ".toc a[aria-current]")
        )
        assert toc["top"] == 0
        # The heading is not below the list, and the entry is in sight.
        assert head["left"] >= toc["right"] if is_wide else head["top"] >= toc["bottom"] - 1
        assert link["left"] >= 0
        assert link["right"] <= width
    assert page.ask("document.querySelectorAll('.toc a[aria-current]').length") == 1
    page.ask("scrollTo(0, 1e6)")
    page.wait_for(f"{marked} === '#origin'")


@needs_chromium
def test_the_contents_work_without_scripts(pages, tmp_path):
    bare = re.sub(r"<script.*?</script>", "", pages["study"].read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "bare.html").write_text(bare, encoding="utf-8")
    with opened((tmp_path / "bare.html").as_uri(), tmp_path / "profile", 390) as page:
        page.wait_for("document.readyState === 'complete'")
        page.ask("document.querySelector('.toc a[href=\"#tests\"]').click()")
        assert 0 < rect(page, "document.querySelector('#tests')")["top"] < 100
        assert rect(page, "document.querySelector('.toc')")["top"] == 0
        assert page.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.ask(all_of(".still", "one.offsetHeight > 50"))


@needs_chromium
@every_kind
def test_on_paper_no_table_is_cut_off_and_nothing_is_dark(on, kind):
    page = on(kind, *A4)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.send("Emulation.setEmulatedMedia", media="print", features=dark)
    assert page.ask("document.documentElement.scrollWidth") <= A4[0]
    assert page.ask(beyond(str(A4[0]))) == []
    assert page.ask(all_of(".scroll", "getComputedStyle(one).overflowX === 'visible'"))
    assert page.ask(all_of("td", f"parseFloat(getComputedStyle(one).fontSize) >= {8 / 72 * 96 - 0.01}"))
    assert page.ask("getComputedStyle(document.querySelector('.toc')).display") == "none"
    assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.ask("getComputedStyle(document.body).color") == "rgb(28, 33, 38)"
    assert page.ask(all_of(".live", "one.offsetHeight === 0"))
    assert page.ask(all_of(".still", "one.offsetHeight > 0"))
    # A figure fits a page, so that it need not be divided.
    assert page.ask(all_of("figure", f"one.offsetHeight <= {A4[1]}"))
    # What is folded on the screen is printed.
    is_seen = "one.checkVisibility({contentVisibilityAuto: true}) && one.offsetHeight > 0"
    assert page.ask(all_of("details dl", is_seen))


@needs_chromium
def test_on_paper_a_heading_stays_with_what_it_is_about(on):
    page = on("study", *A4)
    page.send("Emulation.setEmulatedMedia", media="print")
    for selector in ("h2", "h3", "figure:not(.picture) figcaption", ".lead"):
        assert page.ask(all_of(selector, "getComputedStyle(one).breakAfter === 'avoid'")), selector
    for selector in ("figure", "tr", ".scroll:not(.long, .wide)", ".lead"):
        assert page.ask(all_of(selector, "getComputedStyle(one).breakInside === 'avoid'")), selector
    pdf = base64.b64decode(page.send("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert set(re.findall(rb"/MediaBox \[0 0 (\d+)[\d.]* (\d+)[\d.]*\]", pdf)) == {(b"841", b"594")}
