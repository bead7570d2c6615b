"""merbench check, from the command line: an empty folder, a baseline, a moved score."""

from __future__ import annotations

from pathlib import Path

import pytest

from merbench.board.regression import Verdict
from merbench.cli import check
from tests.conftest import Cli

REQUEST = "tiny: {method: svm_flow, databases: smic, source: published-flow, scheme: megc3, preset: full, seeds: 1}\n"


def test_a_moved_score_is_refused(with_flow: Path, cli: Cli) -> None:
    baseline = Path("baseline")
    baseline.mkdir()
    (baseline / "requests.yaml").write_text(REQUEST)
    missing = cli("check", "--baseline", "baseline")
    assert (missing.code, "merbench check --update" in missing.err) == (2, True)
    assert cli("check", "--baseline", "baseline", "--update", "--workers", "1").code == 0
    assert sorted(path.name for path in baseline.iterdir()) == ["platform.yaml", "requests.yaml", "tiny.parquet"]
    assert cli("check", "--baseline", "baseline", "--no-train").code == 0
    (baseline / "requests.yaml").write_text(
        REQUEST.replace("seeds: 1", "seeds: 1, overrides: [method.centred=false, method.mirrored=false]")
    )
    moved = cli("check", "--baseline", "baseline", "--workers", "1", "--summary", "summary.md")
    assert moved.code == 1
    assert "1 of 2 moved: tiny" in moved.err
    assert "**moved**: the request is another: now" in Path("summary.md").read_text()
    assert not Path("runs").exists(), "it trains into an empty folder, and leaves none"
    assert not Path("prepared").exists()


def test_an_update_that_does_not_reach_its_end_leaves_the_old_baseline(with_flow: Path, cli: Cli) -> None:
    """One platform stands for all archives: half of them from another machine would be compared bit for bit."""
    (with_flow / "requests.yaml").write_text(
        REQUEST.replace("svm_flow", "majority") + REQUEST.replace("tiny", "wrong").replace("svm_flow", "nothing")
    )
    failed = cli("check", "--baseline", ".", "--update", "--workers", "1")
    assert (failed.code, "nothing" in failed.err) == (2, True)
    assert sorted(path.name for path in with_flow.iterdir()) == ["requests.yaml"]


def test_what_cannot_be_checked_is_told(here: Path, cli: Cli) -> None:
    (here / "requests.yaml").write_text(REQUEST)
    (here / "platform.yaml").write_text("processor: another\n")
    for words, message in (
        (("--baseline", "nowhere"), "a baseline cannot be read"),
        (("--baseline", ".", "--only", "tin"), "did you mean 'tiny'?"),
        (("--baseline", ".", "--no-train", "--summary", "nowhere/s.md"), "there is no such folder"),
        (("--baseline", ".", "--no-train", "--summary", "."), "the summary cannot be written: Is a directory"),
        (("--baseline", ".", "--only", "tiny", "--update"), "the other archives were made elsewhere ("),
        (("--baseline", ".", "--no-train", "--update"), "--no-train finds nothing to write"),
    ):
        found = cli("check", *words)
        assert (found.code, message in found.err) == (2, True), (words, found)


HEAD = "# Changelog\n\n## Unreleased\n\n### Added\n- a\n"
OUT = "\n## 0.1.0\n\n### Results changed\n- old\n"
LINE = "- `merbench check`: tiny UF1 0.5000, now 0.4000 (UF1 moved). Why: TODO\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD + "\n### Results changed\n- b\n" + OUT, HEAD + "\n### Results changed\n" + LINE + "- b\n" + OUT),
        (HEAD + OUT, HEAD + "\n### Results changed\n" + LINE + OUT),
        (HEAD, HEAD + "\n### Results changed\n" + LINE),
    ],
)
def test_what_moved_is_written_under_the_version_that_is_being_made(tmp_path: Path, before: str, after: str) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(before)
    moved = Verdict("tiny", "training", 0.5, 0.4, 0.01, ("UF1 moved",))
    check._note([Verdict("same", "training", 0.5, 0.5, 0.01, ()), moved], changelog)
    assert changelog.read_text() == after


def test_a_baseline_of_ones_own_leaves_the_changelog_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check._note([Verdict("tiny", "training", 0.5, 0.4, 0.01, ("UF1 moved",))], None)
    assert capsys.readouterr().out == "for a changelog, under 'Results changed':\n" + LINE
