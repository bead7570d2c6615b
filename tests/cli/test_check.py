"""merbench check, from the command line: an empty folder, a baseline, a moved score."""

from __future__ import annotations

from pathlib import Path

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
