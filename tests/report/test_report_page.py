"""The page in a real browser: it renders, asks for nothing, sorts, fits a phone, and can be read by everyone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from helpers.browser import CONTRAST, Browser

FIRST_COLUMN = "[...document.querySelectorAll('#table-1 tbody tr')].map((row) => row.cells[0].innerText)"
F1_COLUMN = "[...document.querySelectorAll('#table-1 tbody tr')].map((row) => Number(row.cells[5].dataset.sort))"


class Outline(HTMLParser):
    """What the tests ask of the markup: headings, ids, images, references."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.outward: list[str] = []
        self.scopeless = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self.references += str(found.get("aria-labelledby") or "").split()
        if tag == "img" or (tag == "svg"):
            self.images.append({"tag": tag, **found})
        if tag == "th" and "scope" not in found:
            self.scopeless += 1
        for name in ("src", "href", "srcset", "data", "action"):
            value = found.get(name)
            if value and not value.startswith(("data:", "#")):
                self.outward.append(value)


def test_renders_without_console_error_or_request(report: Path, patch_report: Path, browser: Browser) -> None:
    for path in (report, patch_report):
        browser.open(path)
        assert browser.problems() == []
        assert browser.requests() == [path.resolve().as_uri()]
        assert browser.run("document.images.length") > 5
        assert browser.run("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
        assert browser.run("document.querySelector('h1').innerText") == (
            "Does a bigger network or better training data find landslides better?"
        )


def test_policy_forbids_requests(report: Path, browser: Browser) -> None:
    browser.open(report)
    sent = browser.run("fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => String(error))")
    assert sent.startswith("TypeError")
    browser.run(
        "new Promise((done) => { const i = new Image(); i.onerror = () => done('no');"
        " i.src = 'http://127.0.0.1:9/x.png'; })"
    )
    blocked = [
        e["params"]["blockedReason"]
        for e in browser.events
        if e.get("method") == "Network.loadingFailed" and "blockedReason" in e["params"]
    ]
    refused = [text for text in browser.problems() if "Content Security Policy" in text]
    assert blocked.count("csp") == 2 or len(refused) >= 2


def test_nothing_in_the_markup_points_outward(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert Outline(text).outward == []
    assert "url(http" not in text
    assert "@import" not in text


def test_tables_sort_by_click_and_by_keyboard(report: Path, browser: Browser) -> None:
    browser.open(report)
    original, f1 = browser.run(FIRST_COLUMN), browser.run(F1_COLUMN)
    assert f1 != sorted(f1, reverse=True)
    click = "document.querySelectorAll('#table-1 thead button')[5].click()"
    browser.run(click)
    assert browser.run(F1_COLUMN) == sorted(f1, reverse=True)
    assert browser.run("document.querySelectorAll('#table-1 th')[5].getAttribute('aria-sort')") == "descending"
    assert browser.run("document.getElementById('sorted').textContent") == "Sorted by F1, descending"
    browser.run("document.querySelectorAll('#table-1 thead button')[5].focus()")
    browser.press("Enter")
    assert browser.run(F1_COLUMN) == sorted(f1)
    browser.press(" ")
    assert browser.run(FIRST_COLUMN) == original
    assert browser.run("document.querySelectorAll('#table-1 [aria-sort]').length") == 0
    browser.run("document.querySelectorAll('#table-1 thead button')[0].click()")
    names = browser.run("[...document.querySelectorAll('#table-1 tbody tr')].map((row) => row.cells[0].dataset.sort)")
    assert names == sorted(names)


def test_cells_without_a_figure_sort_last_either_way(report: Path, browser: Browser) -> None:
    browser.open(report)
    column = (
        "[...document.querySelectorAll('#table-rows tbody tr')].map((row) => row.cells[5].dataset.sort === undefined)"
    )
    for _ in range(2):  # two rows have no number of parameters
        browser.run("document.querySelectorAll('#table-rows thead button')[5].click()")
        missing = browser.run(column)
        assert sum(missing) == 2
        assert missing[-2:] == [True, True]


@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_page_never_scrolls_sideways(report: Path, patch_report: Path, browser: Browser, width: int) -> None:
    for path in (report, patch_report):
        browser.open(path, width=width, height=740)
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(report: Path, browser: Browser, scheme: str) -> None:
    browser.open(report, scheme=scheme)
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.run(CONTRAST) == []


def test_light_and_dark_differ_and_paper_is_light(report: Path, browser: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('.panel path[style*=\"stroke: var(--row-3)\"]')).stroke"
    colors = {}
    for name, options in {
        "light": {},
        "dark": {"scheme": "dark"},
        "paper": {"scheme": "dark", "media": "print"},
    }.items():
        browser.open(report, **options)
        colors[name] = (browser.run(ground), browser.run(line))
    assert colors["light"][0] == colors["paper"][0] == "rgb(255, 255, 255)"
    assert colors["light"][1] == colors["paper"][1] != colors["dark"][1]
    assert colors["dark"][0] == "rgb(20, 24, 28)"


def test_printing_unfolds_everything(report: Path, browser: Browser, tmp_path: Path) -> None:
    browser.open(report)
    still_open = "[...document.querySelectorAll('details')].filter((one) => one.open).length"
    folded = browser.run("document.querySelectorAll('details').length")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(still_open) == folded > 3
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(still_open) == 0
    pages = browser.pdf(tmp_path / "report.pdf").read_bytes().count(b"/Type /Page\n")
    assert 5 <= pages <= 25


def test_outline_is_accessible(report: Path, patch_report: Path) -> None:
    for path in (report, patch_report):
        found = Outline(path.read_text(encoding="utf-8"))
        assert found.headings[0] == 1
        assert found.headings.count(1) == 1
        assert all(b <= a + 1 for a, b in zip(found.headings, found.headings[1:], strict=False))
        assert len(found.ids) == len(set(found.ids))
        assert set(found.references) <= set(found.ids)
        assert found.scopeless == 0
        for image in found.images:
            alt = image.get("alt") if image["tag"] == "img" else image.get("aria-labelledby")
            assert alt, image
            assert image["tag"] == "img" or image.get("role") == "img"


def test_everything_operable_is_reached_by_tab(report: Path, browser: Browser) -> None:
    browser.open(report)
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    left = browser.run("document.activeElement.getBoundingClientRect().left")
    assert left >= 0  # the skip link shows itself
    assert browser.run("[...document.querySelectorAll('button, summary, .scroll, pre')].every((e) => e.tabIndex === 0)")


def test_sections_follow_what_the_study_has(report: Path, patch_report: Path) -> None:
    for path, figures in ((report, range(1, 8)), (patch_report, range(1, 8))):
        text = path.read_text(encoding="utf-8")
        found = [int(n) for n in re.findall(r"<strong>Figure (\d)\.</strong>", text)]
        assert found == list(figures)
    assert "Which differences the data support" in report.read_text(encoding="utf-8")
    assert "Which differences the data support" not in patch_report.read_text(encoding="utf-8")
    assert "A choice of test patches" in patch_report.read_text(encoding="utf-8")
    assert "Region 4" in patch_report.read_text(encoding="utf-8")
