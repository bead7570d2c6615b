"""Both pages in a real browser: quiet, cut off from the network, escaped, sorted, filtered, on a phone, in the dark, on paper."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from merbench.board import columns
from merbench.board.pages import html, report
from merbench.board.rows import Row
from merbench.scores import RANKED, READINGS
from tests.board.pages.conftest import ATTACK, CLASSES, Made
from tests.browser import Browser

PAGES = ("board", "report", "closed")


@pytest.fixture(scope="session")
def folder(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board, the report of the best run and that of a closed form, as files."""
    root = tmp_path_factory.mktemp("opened")
    (root / "board.html").write_text(html.page(made.rows), encoding="utf-8")
    (root / "report.html").write_text(report.page(report.read(made.best)), encoding="utf-8")
    (root / "closed.html").write_text(report.page(report.read(made.closed)), encoding="utf-8")
    return root


@pytest.mark.parametrize("name", PAGES)
def test_nothing_complains_and_nothing_is_fetched(chromium: Browser, folder: Path, name: str) -> None:
    path = folder / f"{name}.html"
    chromium.open(path)
    assert chromium.fetched() == [path.as_uri()]
    aims = chromium.run("[...document.querySelectorAll('[src], [href]')].map(e => e.getAttribute('src') ?? e.getAttribute('href'))")
    assert len(aims) > 3
    assert [aim for aim in aims if not aim.startswith(("#", "data:"))] == []
    lost = [aim for aim in aims if aim.startswith("#") and not chromium.run(f"!!document.getElementById({json.dumps(aim[1:])})")]
    assert lost == []
    ids = chromium.run("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    chromium.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert chromium.complaints() == []


@pytest.mark.parametrize("name", PAGES)
def test_text_from_files_is_text(chromium: Browser, folder: Path, name: str) -> None:
    chromium.open(folder / f"{name}.html")
    assert chromium.run("[...document.scripts].length") == 1
    strange = "img, iframe, object" + ("" if name == "board" else ", b, i")
    assert chromium.run(f"document.querySelectorAll('{strange}').length") == 0
    seen = chromium.run("document.body.textContent")
    assert ATTACK in seen
    if name != "board":
        assert all(one in seen for one in CLASSES)
        assert "c\"'<0>&" in seen
        assert "<b>s3" in seen


def test_the_policy_forbids_what_is_not_the_pages_own(chromium: Browser, folder: Path) -> None:
    chromium.open(folder / "board.html")
    for made in (
        "const e = document.createElement('script'); e.textContent = 'window.owned = 1'",
        "const e = document.createElement('img'); e.src = 'http://127.0.0.1:9/x.png'",
        "const e = document.createElement('style'); e.textContent = 'body { --owned: 1 }'",
    ):
        chromium.run(f"(() => {{ {made}; document.body.append(e) }})()")
    assert chromium.run("[window.owned ?? 0, getComputedStyle(document.body).getPropertyValue('--owned')]") == [0, ""]
    assert sum("Content Security Policy" in told for told in chromium.complaints()) == 3


FIRST = "document.querySelector('section.board[data-protocol=loso][data-preset=full] table')"
"""The table of four runs."""


def shown(chromium: Browser, column: int) -> list[str]:
    """Return a column of that table's rows of the last epoch, as a person reads them from above."""
    lines = f"[...{FIRST}.querySelectorAll('tbody[data-reading=last] tr[data-method]')].filter(e => !e.hidden)"
    found: list[str] = chromium.run(
        f"{lines}.map(e => (e.cells[{column}].dataset.v ?? '') + '|' + e.cells[{column}].innerText.split('\\n')[0])"
    )
    return found


def ordered(values: Sequence[str], words: bool) -> list[str]:
    """Return values from the least to the largest as a person expects it, what is empty left out."""
    known = [value for value in values if value]
    return sorted(known, key=str.casefold) if words else sorted(known, key=float)


def test_every_column_sorts(chromium: Browser, folder: Path) -> None:
    chromium.open(folder / "board.html")
    heads = chromium.run(f"[...{FIRST}.tHead.rows[0].cells].map(e => e.innerText)")
    assert heads[:5] == ["#", "method", "UF1", "95 % interval", "UAR"]
    first = shown(chromium, 0)
    assert [each.partition("|")[0] for each in first] == ["1", "2", "3", "4"]
    lines = f"[...{FIRST}.querySelectorAll('tr')].map(e => e.outerHTML)"
    written = sorted(chromium.run(lines))
    for column, name in enumerate(heads):
        for _ in range(2):
            chromium.run(f"{FIRST}.tHead.rows[0].cells[{column}].querySelector('button').click()")
            way = chromium.run(f"[...{FIRST}.tHead.rows[0].cells].map(e => e.ariaSort)")
            assert [each for each in way if each] == [way[column]]
            values = [each.partition("|")[0] for each in shown(chromium, column)]
            assert len(values) == 4
            known = [value for value in values if value]
            assert values[: len(known)] == known, f"{name}: what is not there stands last"
            expected = ordered(values, words=name in ("method", "run"))
            assert known == (expected if way[column] == "ascending" else expected[::-1]), name
        assert chromium.run(f"[...{FIRST}.querySelectorAll('tbody')].every(b => b.rows[0].matches('.reading'))")
        assert chromium.run(f"[...{FIRST}.querySelectorAll('tbody')].every(b => !b.querySelector('.chance ~ [data-method]'))")
    now = [re.sub(r' aria-sort="[a-z]+"', "", each) for each in chromium.run(lines)]
    assert sorted(now) == written, "what is drawn in a row, chance among it, moves with it"
    assert chromium.complaints() == []


def test_ranks_stay_with_their_rows_and_oracles_have_none(chromium: Browser, folder: Path, made: Made) -> None:
    chromium.open(folder / "board.html")
    chromium.run(f"{FIRST}.tHead.rows[0].cells[4].querySelector('button').click()")
    ranks = chromium.run(
        "[...document.querySelectorAll('tbody tr[data-method]')].map(e => [e.parentNode.dataset.reading, e.dataset.run, e.cells[0].innerText])"
    )
    for reading, key, rank in ranks:
        row = next(row for row in made.rows if row.key == key)
        assert rank == (columns.place(row, reading) if reading in RANKED else "-")
    assert {reading for reading, _, _ in ranks} == set(READINGS)


def test_a_keyboard_sorts(chromium: Browser, folder: Path) -> None:
    chromium.open(folder / "board.html")
    chromium.run(f"{FIRST}.tHead.rows[0].cells[1].querySelector('button').focus()")
    chromium.press("Tab")
    assert chromium.run("document.activeElement.innerText") == "UF1"
    ways = []
    for key in ("Enter", "Space"):
        chromium.press(key)
        ways.append(chromium.run("document.activeElement.parentNode.ariaSort"))
    assert ways == ["descending", "ascending"]


def seen(chromium: Browser) -> set[tuple[str, str]]:
    """Return reading and run of every row that can be seen."""
    lines = "[...document.querySelectorAll('tr[data-method]')].filter(e => e.checkVisibility())"
    return {(reading, key) for reading, key in chromium.run(f"{lines}.map(e => [e.parentNode.dataset.reading, e.dataset.run])")}


def choose(chromium: Browser, **asked: str) -> set[tuple[str, str]]:
    """Fill the form as a person does, and return what is seen."""
    for name, value in asked.items():
        field = f"document.forms.filters.elements[{json.dumps(name)}]"
        chromium.run(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('input', {{bubbles: true}}))")
    return seen(chromium)


def keys(rows: Sequence[Row], reading: str) -> set[tuple[str, str]]:
    return {(reading, row.key) for row in rows if reading in row.readings}


def test_filters(chromium: Browser, folder: Path, made: Made) -> None:
    chromium.open(folder / "board.html")
    whole, status = keys(made.rows, "last"), "document.getElementById('shown').textContent"
    assert seen(chromium) == whole, "at first the ranked reading alone"
    assert chromium.run(status) == f"{len(whole)} runs in 3 tables"
    for reading in READINGS[1:]:
        assert choose(chromium, reading=reading) == keys(made.rows, reading) != set()
    assert choose(chromium, reading="") == set().union(*(keys(made.rows, name) for name in READINGS))
    assert choose(chromium, reading="last", protocol="lodo") == keys([row for row in made.rows if row.protocol == "lodo"], "last")
    assert chromium.run(status) == "1 run in 1 table"
    assert choose(chromium, protocol="", preset="quick") == keys([row for row in made.rows if row.preset == "quick"], "last")
    assert choose(chromium, preset="", method="MIDDL") == keys([row for row in made.rows if row.method.startswith("middling")], "last")
    assert choose(chromium, method="nobody") == set()
    assert chromium.run(status) == "no run fits"
    chromium.run("document.forms.filters.reset(); new Promise(done => setTimeout(done, 20))")
    assert seen(chromium) == whole
    assert chromium.complaints() == []


def test_a_source_is_not_named_where_none_of_its_tables_is_seen(chromium: Browser, made: Made, tmp_path: Path) -> None:
    rendered = [dataclasses.replace(row, source="synthetic", key=f"{index:016x}") for index, row in enumerate(made.rows)]
    path = tmp_path / "both.html"
    path.write_text(html.page([*made.rows, *rendered]), encoding="utf-8")
    chromium.open(path)
    named = "[...document.querySelectorAll('.source > h2')].filter(e => e.checkVisibility()).map(e => e.innerText)"
    both = chromium.run(named)
    assert len(both) == 2
    choose(chromium, data=f"{rendered[0].on}, synthetic")
    assert chromium.run(named) == both[1:]
    choose(chromium, data="")
    assert chromium.run(named) == both


def test_a_link_opens_its_run(chromium: Browser, folder: Path, made: Made) -> None:
    chromium.open(folder / "board.html")
    aim = chromium.run("(() => { const a = document.querySelector('tr[data-method] a'); a.click(); return a.getAttribute('href') })()")
    assert aim == f"#run-{chromium.run('document.querySelector(`tr[data-method]`).dataset.run')}"
    chromium.run("new Promise(done => setTimeout(done, 50))")
    assert chromium.run(f"document.getElementById({json.dumps(aim[1:])}).closest('details').open") is True
    chromium.run("location.hash = '%zz'; new Promise(done => setTimeout(done, 50))")
    assert chromium.complaints() == [], "an address that somebody cut off"


CONTRAST = """(() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                       return .2126 * r + .7152 * g + .0722 * b; };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const ratio = e => { const ink = light(getComputedStyle(e).color); return (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05); };
  return [paper, Math.min(...[...document.querySelectorAll('p, td, th, a, dt, dd, h1, h2, .under, caption')].map(ratio))];
})()"""


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_in_the_dark_and_on_paper(chromium: Browser, folder: Path, name: str) -> None:
    path = folder / f"{name}.html"
    for dark in (False, True):
        chromium.open(path, width=390, dark=dark)
        assert chromium.run("document.documentElement.scrollWidth") == 390, "only tables scroll sideways, each in its own box"
        paper, contrast = chromium.run(CONTRAST)
        assert (paper < 0.1) is dark
        assert contrast >= 4.5, "WCAG 2, level AA"
    if name == "board":
        cell = f"{FIRST}.querySelector('tr[data-method] th').getBoundingClientRect().left"
        moved = f"{FIRST}.parentNode.scrollBy(200, 0); {FIRST}.parentNode.scrollLeft"
        assert chromium.run(moved) == 200
        assert 0 <= chromium.run(cell) < 30, "the method stays"
        chromium.ask("Emulation.setEmulatedMedia", media="print")
        assert chromium.run("document.getElementById('filters').checkVisibility()") is False
        assert chromium.run(f"{FIRST}.checkVisibility()") is True
        chromium.ask("Emulation.setEmulatedMedia", media="")
