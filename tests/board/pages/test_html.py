"""The board as a page, read without a browser: what stands in it, and what may not."""

from __future__ import annotations

import dataclasses
import math
import re
import time

import pytest
from markupsafe import escape

from merbench.board import beside, columns, render
from merbench.board.pages import html
from merbench.board.rows import Row
from tests.board.pages.conftest import ATTACK, Made


def lines(page: str, reading: str) -> list[str]:
    """Return the rows of a reading, as markup."""
    bodies = re.findall(rf'<tbody data-reading="{reading}">(.*?)</tbody>', page, re.DOTALL)
    return [line for body in bodies for line in re.findall(r"<tr data-run.*?</tr>", body, re.DOTALL)]


def ranks(page: str, reading: str) -> list[str]:
    """Return the first cell of each row of a reading."""
    return [plain(line.partition("</td>")[0]).strip() for line in lines(page, reading)]


def plain(markup: str) -> str:
    return re.sub(r"<[^>]*>", " ", markup)


def test_what_a_row_tells(made: Made) -> None:
    page = html.page(made.rows)
    for row in (row for row in made.rows if row.readings):
        for reading, score in row.readings.items():
            line = plain(next(line for line in lines(page, reading) if row.key in line))
            for told in (score.uf1, score.uar, score.accuracy, *(number for part in score.parts.values() for number in part[:2])):
                assert render.number(told) in line
            assert render.interval(score.uf1_interval) in line
            assert row.key[:8] in line
            assert row.data[:6] in line
            assert render.duration(row.seconds) in line
        assert f"data {row.data[:6]}, annotations {row.annotations[:6]}" in page
    assert escape(render.PLACES) in page
    assert escape(render.NAMES) in page
    assert "begun on smic+casme2: 1 fold missing" in page
    assert all(f">{mark}</span>" in page for row in made.rows if row.readings for mark in row.marks)


def test_optimism_is_the_oracle_less_the_last(made: Made) -> None:
    row = next(row for row in made.rows if row.method == "hasty")
    flattered = {"last": (0.5, 0.31), "oracle-subject": (0.72, 0.55), "oracle-epoch": (0.61, 0.42)}
    readings = {name: dataclasses.replace(row.readings[name], uf1=pair[0], chance_uf1=pair[1]) for name, pair in flattered.items()}
    page = html.page([*(each for each in made.rows if each is not row), dataclasses.replace(row, readings=readings)])
    for reading, told in (
        ("last", "+0.2200 0.720, chance 0.55"),
        ("oracle-subject", "+0.2200 0.720, chance 0.55"),
        ("oracle-epoch", "+0.1100 0.610, chance 0.42"),
    ):
        assert told in " ".join(plain(next(line for line in lines(page, reading) if row.key in line)).split())
    closed = next(row for row in made.rows if row.method == "closed")
    assert "not run" in next(line for line in lines(page, "last") if closed.key in line)


def test_each_reading_has_its_chance_below_it_and_who_lacks_it(made: Made) -> None:
    page = html.page(made.rows)
    for reading in ("last", "oracle-subject", "oracle-epoch"):
        for body in re.findall(rf'<tbody data-reading="{reading}">(.*?)</tbody>', page, re.DOTALL):
            row = next(row for row in made.rows if row.key == re.search(r'data-run="(\w+)"', body)[1])  # type: ignore[index]
            chance = plain(re.findall(r'<tr class="chance">.*?</tr>', body, re.DOTALL)[0])
            assert "chance (guesses)" in chance
            assert render.number(row.readings[reading].chance_uf1) in chance
            assert ("not run: closed" in body) is (reading != "last" and ATTACK.replace("<", "&lt;").replace(">", "&gt;") in body)


def test_sources_stand_apart_under_headings_of_their_own(made: Made) -> None:
    alone, rendered = (
        html.page(made.rows),
        [dataclasses.replace(row, source="synthetic", key=f"{index:016x}") for index, row in enumerate(made.rows)],
    )
    assert not [words for words in render.SOURCES.values() if words in alone], "one source needs no heading"
    both = html.page([*rendered, *made.rows])
    places = [both.index(f"<h2>{escape(source)}</h2>") for source, _ in render.by_source([*rendered, *made.rows])]
    assert len(places) == 2
    assert places == sorted(places)
    for line in lines(both, "last"):
        own = re.findall(r"data-run=\"(.*?)\"", line)[0]
        assert (both.index(line) > places[1]) == (own in {row.key for row in rendered})
    assert not re.search(r'<section[^>]*class="board"[^>]*>\s*<h2', both), "a table's heading stands below its source's"


def test_a_cost_that_nobody_measured_has_no_column(made: Made) -> None:
    assert all(row.clip_seconds is None for row in made.rows)
    assert ">a clip</button>" not in html.page(made.rows)
    page = html.page([dataclasses.replace(row, clip_seconds=0.0042) for row in made.rows])
    assert ">a clip</button>" in page
    assert all("4.20 ms" in line for line in lines(page, "last"))


def test_what_the_text_tables_add_is_taken_over(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    told = columns.columns
    further = columns.Column("inference", lambda row: f"12.5 ms <{row.key}>", 3)
    monkeypatch.setattr(columns, "columns", lambda rows, reading="last": [*told(rows, reading), further])
    monkeypatch.setattr(columns, "place", lambda row, reading: f"{len(row.method)}=")
    page = html.page(made.rows)
    assert ">inference</button>" in page
    for line in lines(page, "last"):
        assert "12.5 ms &lt;" in line
    assert sorted(ranks(page, "last")) == sorted(f"{len(row.method)}=" for row in made.rows if row.readings), "so are ties"


def test_published_scores_stand_beside_and_never_among(made: Made) -> None:
    row = made.rows[0]
    ours = dataclasses.replace(row, method="ststnet", on="3db", path=f"3db@published-flow/loso-megc3/ststnet/{row.key}")
    page = html.page([ours])
    found, _ = beside.beside([ours])
    assert found
    section = page.partition('<section id="published">')[2].partition("</section>")[0]
    told = " ".join(plain(section).split())
    for each in found:
        assert all(
            str(escape(text)) in told for text in (each.source, *each.reasons, *(text for cell in each.cells for text in cell.texts))
        )
    assert page.count("STSTNet") == section.count("STSTNet")
    assert len(lines(page, "last")) == 1
    assert "Measured beside published" not in html.page([dataclasses.replace(ours, source="synthetic")])


def with_inner(row: Row) -> Row:
    inner = dataclasses.replace(row.readings["last"], uf1=row.readings["last"].uf1 - 0.01)
    readings = {**row.readings, "inner": inner, "of a future version": inner}
    return dataclasses.replace(row, readings=readings, places={**row.places, "inner": (7, 9)})


def test_readings_of_later_versions_are_shown(made: Made) -> None:
    """What is ranked apart has its own places; what is not known here stands there by its own name, and has none."""
    rows = [with_inner(row) if row.readings and row.method != "closed" else row for row in made.rows]
    page = html.page(rows)
    assert "Inner epoch" in page
    assert "of a future version" in page
    assert sorted(ranks(page, "inner")) == ["1", *["7-9"] * 5], "a closed form has no other epoch to choose: its inner is its last"
    assert set(ranks(page, "oracle-epoch")) == set(ranks(page, "of a future version")) == {"-"}
    by_key = {row.key: row for row in rows}
    for body in re.findall(r"<tbody data-reading.*?</tbody>", page, re.DOTALL):
        reading = re.findall(r'data-reading="([^"]*)"', body)[0]
        uf1s = [by_key[key].readings[reading].uf1 for key in re.findall(r'data-run="(\w+)"', body)]
        assert uf1s == sorted(uf1s, reverse=True), reading
    order = re.findall(r'<option value="([^"]*)"', page.partition('<select name="reading">')[2])
    assert order == ["", "last", "inner", "of a future version", "oracle-subject", "oracle-epoch"]


def test_scores_that_are_none(made: Made) -> None:
    row = made.rows[0]
    nothing = dataclasses.replace(row.readings["last"], uf1=math.nan, uar=math.nan, uf1_interval=(math.nan, math.nan), chance_uf1=math.nan)
    empty = dataclasses.replace(row, readings=dict.fromkeys(row.readings, nothing), seconds=None, peak_mib=None, averages={})
    page = html.page([empty])
    assert ">nan<" not in page
    assert '"nan"' not in page
    assert html.page([dataclasses.replace(row, readings={}, missing=3)]).count("<table") == 0
    assert "3 folds missing" in html.page([dataclasses.replace(row, readings={}, missing=3)])


def test_names_that_turn_lines_round_or_break_encodings(made: Made) -> None:
    row = dataclasses.replace(made.rows[0], method="evil\u202egnp\ud800\x00", assumed="\x1b[2J")
    page = html.page([row])
    page.encode()
    assert not {"\u202e", "\x00", "\x1b"} & set(page)


def test_two_hundred_runs_are_drawn_in_seconds(made: Made) -> None:
    row = next(row for row in made.rows if row.method == ATTACK)
    rows = [dataclasses.replace(row, key=f"{index:016x}", method=f"method {index}") for index in range(200)]
    begun = time.process_time()
    page = html.page(rows)
    assert time.process_time() - begun < 5
    assert len(lines(page, "last")) == 200
    assert len(page) < 6_000_000


def test_what_is_superseded_is_sorted_last_by_place(made: Made) -> None:
    """It has no place: sorted the other way, it stood above all that have one."""
    first = next(row for row in made.rows if row.places)
    older = dataclasses.replace(first, key="older", places={}, versions=(1, 1), superseded=True)
    found = lines(html.page([older, first]), "last")
    assert [re.findall(r'data-v="(\d*)"', line)[0] for line in found] == ["1", ""]
    assert "(superseded: version 1.1)" in found[1]
