"""Run folders: the request and the provenance beside the folds, and the folder itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from merbench.results import Run
from tests.conftest import Cli
from tests.hostile import refused
from tests.hostile.conftest import Runs

Spoil = Callable[[Path], object]


def told(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change what the provenance says."""

    def spoil(folder: Path) -> None:
        path = folder / "provenance.json"
        about = json.loads(path.read_text())
        change(about)
        path.write_text(json.dumps(about))

    return spoil


def asked(old: str, new: str) -> Spoil:
    def spoil(folder: Path) -> None:
        text = (folder / "request.yaml").read_text()
        assert old in text
        (folder / "request.yaml").write_text(text.replace(old, new, 1))

    return spoil


def content(name: str, raw: bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(raw)


def instead(name: str, make: Callable[[Path], object]) -> Spoil:
    return lambda folder: ((folder / name).unlink(), make(folder / name))


def circle(path: Path) -> None:
    path.symlink_to(path)


def struck(about: dict[str, Any]) -> None:
    """Leave out a subject that did badly."""
    about["folds"].pop()
    about["clips"] -= 6


PROVENANCE, NAMED = "provenance.json", "is not the one its folder is named after"
AGAIN, AWAY = "run the same command again", "move this run's folder away"
CASES: dict[str, tuple[Spoil, str, str, str]] = {
    "no provenance": (lambda folder: (folder / PROVENANCE).unlink(), PROVENANCE, "cannot be read", AGAIN),
    "an empty provenance": (content(PROVENANCE, b""), PROVENANCE, "line 1 column 1", AGAIN),
    "half a provenance": (lambda folder: os.truncate(folder / PROVENANCE, 200), PROVENANCE, "cannot be read", AGAIN),
    "a provenance that is a list": (content(PROVENANCE, b"[]"), PROVENANCE, "its keys are none", AGAIN),
    "a provenance without end": (content(PROVENANCE, b"[" * 200_000), PROVENANCE, "cannot be read", AGAIN),
    "a provenance of 20 MB": (content(PROVENANCE, b" " * 20_000_000), PROVENANCE, "longer than", AGAIN),
    "a provenance that is a folder": (instead(PROVENANCE, Path.mkdir), PROVENANCE, "no file", AGAIN),
    "a provenance that is a pipe": (instead(PROVENANCE, os.mkfifo), PROVENANCE, "no file", AGAIN),
    "a provenance in a circle": (instead(PROVENANCE, circle), PROVENANCE, "cannot be read", AGAIN),
    "a name too many": (told(lambda about: about.update(rank=1)), PROVENANCE, "its keys are", AGAIN),
    "a name too few": (told(lambda about: about.pop("clips")), PROVENANCE, "its keys are", AGAIN),
    "words for clips": (told(lambda about: about.update(clips="sixty")), PROVENANCE, "'clips'", AGAIN),
    "a truth for clips": (told(lambda about: about.update(clips=True)), PROVENANCE, "'clips'", AGAIN),
    "endless seconds": (told(lambda about: about.update(wall_seconds=float("inf"))), PROVENANCE, "'wall_seconds'", AGAIN),
    "a cost without memory": (told(lambda about: about["costs"].update(x={"seconds": 1.0})), PROVENANCE, "costs", AGAIN),
    "a failed fold of no name": (told(lambda about: about["failed"].update({"../../x": "no"})), PROVENANCE, "failed", AGAIN),
    "a subject left out": (told(struck), "folds", "was changed after this fold was trained", "restore"),
    "fewer clips": (told(lambda about: about.update(clips=59)), "folds", "was changed after this fold was trained", "restore"),
    "classes turned round": (told(lambda about: about["classes"].reverse()), "folds", "was changed after this fold was trained", "restore"),
    "smaller than it is": (told(lambda about: about.update(parameters=3)), "folds", "was changed after this fold was trained", "restore"),
    "other annotations": (told(lambda about: about["data"].update(annotations="b")), "folds", "was changed after", "restore"),
    "other data": (told(lambda about: about["data"].update(fingerprint="b")), "example", NAMED, "restore"),
    "other versions": (told(lambda about: about["results_versions"].update(method=2)), "example", NAMED, "restore"),
    "no request": (lambda folder: (folder / "request.yaml").unlink(), "request.yaml", "cannot be read", AWAY),
    "an empty request": (content("request.yaml", b""), "request.yaml", "its keys are", AWAY),
    "a request that is no text": (content("request.yaml", b"\xff\xfe"), "request.yaml", "position 0", AWAY),
    "a request that makes objects": (asked("example", "!!python/name:os.getcwd"), "request.yaml", "line 1: a tag", AWAY),
    "a request that looks around": (asked("method: example", "method: ${oc.env:HOME}"), "request.yaml", "line 1", AWAY),
    "a request that is a pipe": (instead("request.yaml", os.mkfifo), "request.yaml", "no file", AWAY),
    "a request in a circle": (instead("request.yaml", circle), "request.yaml", "cannot be read", AWAY),
    "words for epochs": (asked("epochs: 2", "epochs: two"), "request.yaml", "'epochs'", AWAY),
    "a preset of no name": (asked("preset: full", "preset: best"), "request.yaml", "'preset'", AWAY),
    "markup for a method": (asked("method: example", 'method: "\\e[2J"'), "request.yaml", "cannot be seen", AWAY),
    "another method": (asked("method: example", "method: better"), "example", NAMED, "restore"),
    "another scheme": (asked("scheme: megc3", "scheme: megc4"), "example", NAMED, "restore"),
    "another preset": (asked("preset: full", "preset: quick"), "example", NAMED, "restore"),
    "more epochs than were trained": (asked("epochs: 2", "epochs: 900"), "example", NAMED, "restore"),
    "a change that was never made": (asked("changes: []", "changes: ['c=3.0']"), "folds", "was changed after", "restore"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_run(runs: Runs, cli: Cli, name: str) -> None:
    spoil, file, place, remedy = CASES[name]
    folder = runs.run.path
    cli("leaderboard")  # there is a summary of what it was
    spoil(folder)
    refused(
        cli("compare", str(folder), "other") if (folder / "request.yaml").is_file() else cli("compare", folder.name, "other"),
        file=file,
        place=place,
        remedy=remedy,
    )
    board = cli("leaderboard", "--format", "md")
    refused(board, code=0, file=file, place=place, remedy=remedy)
    assert "| other |" in board.out, "one bad run does not hide the others"
    assert "| example |" not in board.out


def test_a_renamed_run(runs: Runs, cli: Cli) -> None:
    folder = runs.run.path.rename(runs.run.path.with_name("0" * 16))
    refused(cli("compare", folder.name, "other"), file=folder, place=NAMED, remedy="restore")


def test_a_run_whose_provenance_was_lost_is_whole_again(with_flow: Path, cli: Cli) -> None:
    """The remedy did not help: with every fold finished, nothing was written."""
    assert cli("bench", "prior", "--on", "smic", "--workers", "1").code == 0
    (run,) = (Run(path.parent) for path in Path("runs").rglob("request.yaml"))
    before = json.loads(cli("leaderboard", "--format", "json").out)
    folds = {path: path.stat().st_mtime_ns for path in (run.path / "folds").iterdir()}
    for name in ("request.yaml", PROVENANCE):
        (run.path / name).unlink()
    assert cli("bench", "prior", "--on", "smic", "--workers", "1").code == 0
    assert {path: path.stat().st_mtime_ns for path in (run.path / "folds").iterdir()} == folds
    assert json.loads(cli("leaderboard", "--format", "json").out)[0]["readings"] == before[0]["readings"]
    text = (run.path / "request.yaml").read_text()
    (run.path / "request.yaml").write_text(text.replace("scheme: megc3", "scheme: megc3-mini"))
    next((run.path / "folds").iterdir()).unlink()
    refused(cli("bench", "prior", "--on", "smic", "--workers", "1"), file=run.path, place=NAMED, remedy="restore")


def test_only_bad_runs_are_no_success(runs: Runs, cli: Cli) -> None:
    shutil.rmtree(runs.other.path)
    (runs.run.path / PROVENANCE).write_text("{")
    refused(cli("leaderboard"), file=PROVENANCE, place="line 1", remedy=AGAIN)


def test_a_forged_summary_is_made_anew(runs: Runs, cli: Cli) -> None:
    before = cli("leaderboard", "--format", "csv").out
    path = runs.run.path / "summary.json"
    for text in (path.read_text().replace('"uf1": 0.', '"uf1": 0.9'), "{", "[" * 100_000, "\0"):
        path.write_text(text)
        assert cli("leaderboard", "--format", "csv").out == before
    path.unlink()
    os.mkfifo(path)
    assert cli("leaderboard", "--format", "csv").out == before
