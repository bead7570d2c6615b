"""A run's page: what it tells, of runs of every kind; clip images only where they were asked for."""

from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from markupsafe import escape

from merbench.board import render
from merbench.board.pages import judged, pictures, report, words
from merbench.config import run_key
from merbench.data import store
from merbench.data.prepared import Prepared
from merbench.errors import UserError
from merbench.foldfile import fold_name
from merbench.results import Run, folder_of
from merbench.sample import Clip
from tests.board.pages.conftest import ATTACK, CLIPS, SUBJECTS, Made, make_run
from tests.board.pages.seen import drawings, number, of_class, parsed, seen


def plain(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup))


def test_what_a_report_tells(made: Made) -> None:
    found = report.read(made.best)
    page = report.page(found)
    words = plain(page)
    for score in found.row.readings.values():
        for value in (score.uf1, score.uar, score.accuracy, score.chance_uf1):
            assert render.number(value) in words
        for count in np.array(score.confusion).ravel().tolist():
            assert f" {count} " in words
    for name, value in found.row.averages.items():
        assert f"{name} {render.number(value)}" in words
    for hard in found.hardest:
        assert f"{escape(hard.clip)} {escape(hard.truth)} {hard.probability:.3f}" in words
    for name in (fold_name(subject, seed) for subject in found.provenance.folds for seed in (0, 1)):
        assert escape(name) in page
    for told in ("commit " + "0" * 40, "not committed", "persons.csv " + "0" * 64, "widths 3, 5", "lr 0.001", "results version, method 1"):
        assert told in words, told
    assert f"torch {escape(ATTACK)}" in words
    marked = [
        float(x) for x in re.findall(r'<circle cx="([\d.]+)"[^>]*class="dot', page.partition('id="epochs"')[2].partition("</section>")[0])
    ]
    assert len(marked) == 3
    assert marked[-1] == max(marked), "the last epoch is the last mark, over the best of both seeds"
    charts = (len(found.row.readings), 1, len(SUBJECTS), 1, 1, 3, 1)  # of readings, epochs, subjects, calibration, measures, losses, cost
    assert page.count("<svg") == sum(charts)
    assert "data:image" not in page


def test_scores_by_epoch_are_drawn_where_they_are(made: Made) -> None:
    found = report.read(made.best)
    (drawing,) = drawings(report.page(found), "epochs")
    told, scores, row = seen(drawing), judged.by_epoch(found.found), found.row
    assert (told.x_name, told.y_name) == ("epoch", "UF1, all folds pooled")
    for drawn, expected in zip((*told.lines["thin"], *told.lines["one"]), (*scores, scores.mean(0)), strict=True):
        assert np.array(drawn) == pytest.approx(np.stack([found.found.epochs, expected], axis=1), abs=2e-2)
        assert np.array(drawn)[:, 1] == pytest.approx(expected, abs=1e-3)
    best = [(float(found.found.epochs[each.argmax()]), float(each.max())) for each in scores]
    assert [kind for _, _, kind in told.dots] == ["oracle", "oracle", ""]
    assert np.array([dot[:2] for dot in told.dots]) == pytest.approx(np.array([*best, (5.0, scores.mean(0)[-1])]), abs=2e-2)
    expected_rules = {f"{words.named(name).lower()} {score.uf1:.3f}": score.uf1 for name, score in row.readings.items()}
    expected_rules[f"chance {row.readings['last'].chance_uf1:.3f}"] = row.readings["last"].chance_uf1
    assert told.named == sorted(expected_rules, key=lambda name: expected_rules[name])
    assert [level for level, _ in told.rules] == pytest.approx(sorted(expected_rules.values()), abs=1e-3)


def test_losses_are_drawn_where_they_are(made: Made) -> None:
    found = report.read(made.best)
    page = report.page(found)
    for drawing, curve in zip(drawings(page, "losses"), judged.curves(found.found), strict=True):
        told, at = seen(drawing), np.arange(1, len(curve.middle) + 1)
        assert told.y_name == curve.part.replace("\u202e", "\\u202e")
        room = 0.01 * max(curve.high)
        assert np.array(told.lines["one"][0])[:, 0] == pytest.approx(at, abs=0.03)
        assert np.array(told.lines["one"][0])[:, 1] == pytest.approx(curve.middle, abs=room)
        assert np.array(told.bands[0])[:, 1] == pytest.approx(np.concatenate([curve.low, curve.high[::-1]]), abs=room)


def test_certainty_and_accuracy_are_drawn_where_they_are(made: Made) -> None:
    found = report.read(made.best)
    sure = judged.calibration(found.found)
    told = seen(drawings(report.page(found), "calibration")[0])
    there = np.flatnonzero(sure.clips)
    assert told.lines["ideal"] == [[pytest.approx((0, 0), abs=1e-3), pytest.approx((1, 1), abs=1e-3)]]
    expected = [(index / 10, (index + 1) / 10, 0, sure.accuracy[index]) for index in there]
    assert np.array(told.columns) == pytest.approx(np.array(expected), abs=5e-3)
    assert np.array([dot[:2] for dot in told.dots]) == pytest.approx(np.stack([sure.certainty, sure.accuracy], axis=1)[there], abs=5e-3)


def test_subjects_and_costs_are_drawn_as_they_are(made: Made) -> None:
    found = report.read(made.best)
    page = report.page(found)
    rows = {f"{each.database}/{each.name}": each for each in judged.by_subject(found.found)}
    for drawing, name in zip(drawings(page, "subjects"), sorted(rows, key=lambda name: name.startswith("casme2")), strict=True):
        widths = [number(of_class(parsed(drawing), "rect", kind)[0], "width") for kind in ("right", "wrong")]
        assert widths[0] / sum(widths) == pytest.approx(rows[name].right / rows[name].clips, abs=1e-3)
    seconds = [cost["seconds"] for cost in found.provenance.costs.values()]
    counts, edges = np.histogram(seconds, bins=16)
    expected = [(edges[index], edges[index + 1], 0, counts[index]) for index in np.flatnonzero(counts)]
    assert np.array(seen(drawings(page, "cost")[0]).columns) == pytest.approx(np.array(expected), abs=2e-2)


@pytest.mark.parametrize(
    ("classes", "subjects", "epochs", "quality"),
    [
        (("only",), ("smic/s1", "casme2/s1"), 3, 1.0),
        (("a", "b"), ("smic/s1",), 2, 0.0),
        (("a", "b", "c"), ("smic/s1", "casme2/s1"), 1, 1.0),
        (tuple("abcdefg"), ("smic/s1", "casme2/s1"), 2, 0.5),
    ],
    ids=["one class", "one subject, always wrong", "one epoch, always right", "a class without a clip"],
)
def test_a_run_of_little_has_a_page(
    tmp_path: Path, classes: tuple[str, ...], subjects: tuple[str, ...], epochs: int, quality: float
) -> None:
    page = report.page(report.read(make_run(tmp_path, classes=classes, subjects=subjects, epochs=epochs, quality=quality)))
    assert ">nan<" not in page
    assert '="nan' not in page
    assert "inf," not in page
    for anchor in re.findall(r'href="#([^"]*)"', page):
        assert f'id="{anchor}"' in page


def test_one_epoch_is_not_shown_twice_and_is_counted_as_one(tmp_path: Path) -> None:
    """An epoch chosen on training subjects is the only one there; and no axis has half an epoch."""
    run = make_run(tmp_path / "one", epochs=1)
    assert set(report.read(run).row.readings) == {"last", "inner"}
    assert "Inner epoch" not in report.page(report.read(run))
    for epochs in (2, 3, 11):
        page = report.page(report.read(make_run(tmp_path / str(epochs), epochs=epochs)))
        for drawn in re.findall(r"<svg[^>]*>.*?</svg>", page.partition('id="losses"')[2].partition("</section>")[0], re.DOTALL):
            numbers = [float(each) for each in re.findall(r'text-anchor="middle">([\d.]+)<', drawn)]
            assert numbers
            assert all(each.is_integer() for each in numbers), numbers


def test_databases_stand_in_their_usual_order(made: Made) -> None:
    page = report.page(report.read(made.best))
    assert re.findall(r"<caption>(smic|casme2|samm)</caption>", page) == ["smic", "casme2"]


def test_a_seed_that_is_not_whole_is_told_and_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=2)
    whole = report.read(make_run(tmp_path / "one", seeds=1))
    run.fold_path("smic--s2--s1").unlink()
    found = report.read(run)
    assert [hard.probability for hard in found.hardest] == [hard.probability for hard in whole.hardest]
    assert "Not finished: 1 fold missing. This page is of the one whole seed." in plain(report.page(found))
    run.fold_path("smic--s2--s0").unlink()
    with pytest.raises(UserError, match="no seed of this run has all its folds"):
        report.read(run)


def prepared_run(tmp_path: Path) -> tuple[Run, Prepared]:
    """Return a run whose clips are prepared: flow images, each of one shade."""
    run = make_run(tmp_path / "runs", subjects=("smic/s1", "smic/s2"), classes=("a", "b", "c"))
    clips = tuple(Clip("smic", subject, f"c{index}") for subject in ("smic/s1", "smic/s2") for index in range(CLIPS))
    labels = np.array([index % 3 for index in range(CLIPS)] * 2)
    flow = np.arange(len(clips), dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 28, 28), np.uint8)
    prepared = Prepared("smic+casme2", "published-flow", "megc3", clips, ("a", "b", "c"), labels, {"flow": flow}, "relative")
    provenance = run.provenance
    provenance.data["fingerprint"] = prepared.fingerprint
    key = run_key(run.request, prepared.fingerprint, provenance.results_versions)
    provenance.request_key = key
    told = Run(folder_of(tmp_path / "other", run.request, key))
    told.create(run.request, provenance)
    for fold in run.results([fold_name(subject, 0) for subject in provenance.folds]):
        renamed = tuple(f"{fold.held_out}/c{index}" for index in range(CLIPS))
        told.keep(dataclasses.replace(fold, clips=renamed), told.request, provenance)
    return told, prepared


def test_images_only_where_asked_for_and_each_beside_its_clip(tmp_path: Path) -> None:
    run, prepared = prepared_run(tmp_path)
    root = tmp_path / "prepared"
    found = report.read(run)
    assert "data:image" not in report.page(found)
    with pytest.raises(UserError, match="not prepared here"):
        pictures.pictures(run, ["smic/s1/c0"], root)
    assert not root.exists(), "nothing is prepared to look at"
    store.save(prepared, root)
    wanted = [hard.clip for hard in found.hardest]
    shown = pictures.pictures(run, wanted, root)
    assert set(shown) == set(wanted)
    page = report.page(found, report.Images(shown, lacking="the run kept no weights"))
    assert "No maps: the run kept no weights" in page
    assert page.count("These pictures show people") == 1
    pairs = re.findall(
        r'<img src="data:image/png;base64,([^"]*)" alt="[^"]* of ([^"]*)">.*?<figcaption>([^<,]*), is ([^<]*)</figcaption></figure>', page
    )
    assert [clip for _, clip, _, _ in pairs] == wanted, "in the order of the table"
    for source, clip, caption, told in pairs:
        hard = next(each for each in found.hardest if each.clip == clip == caption)
        assert told == f"{hard.truth}: taken for {hard.predicted[0][0]} ({hard.predicted[0][1]:.2f})"
        image = cv2.imdecode(np.frombuffer(base64.b64decode(source), np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape == (pictures.SIDE, pictures.SIDE, 3)
        assert (image == [each.key for each in prepared.clips].index(clip)).all()
    assert page.count("<img") == len(wanted)
    other = dataclasses.replace(prepared, arrays={"flow": prepared.arrays["flow"] + 1})
    with pytest.raises(UserError, match="has the fingerprint"):
        pictures.pictures(run, wanted, store.save(other, tmp_path / "elsewhere").parents[1])


def test_a_picture_is_red_first() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 255
    shown = pictures.picture("red", image).source.partition(",")[2]
    found = cv2.imdecode(np.frombuffer(base64.b64decode(shown), np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    assert found[0, 0].tolist() == [0, 0, 255]
