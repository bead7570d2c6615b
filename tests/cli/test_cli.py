"""Each command as a new user would type it: what it says, what it exits with, what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli

HEAVY = ("torch", "pytorch_lightning", "pandas", "matplotlib", "sklearn", "cv2", "wandb", "ray", "dlib", "openpyxl", "xlrd")
PROBE = """
import sys
sys.argv = ["merbench", *{words!r}]
from merbench.cli import main
try:
    main()
except SystemExit as end:
    code = end.code or 0
print("\\nIMPORTED", code, *(name for name in {heavy!r} if name in sys.modules))
"""


def imported(*words: str) -> tuple[int, set[str]]:
    program = PROBE.format(words=words, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    line = next(line for line in done.stdout.splitlines() if line.startswith("IMPORTED"))
    _, code, *names = line.split()
    return int(code), set(names)


@pytest.mark.parametrize("words", [["--help"], ["bench", "--help"], ["leaderboard", "--help"], ["data", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    assert imported(*words) == (0, set())


def test_the_board_opens_without_torch(with_flow: Path, cli: Cli) -> None:
    assert cli("bench", "majority", "--on", "smic").code == 0
    for words in (["leaderboard"], ["leaderboard", "--format", "md"], ["leaderboard", "--format", "json"]):
        assert imported(*words) == (0, set())


def test_what_is_prepared_is_found_again_without_torch(with_flow: Path, cli: Cli) -> None:
    """A second look at a prepared database takes less than a second; torch alone takes two."""
    assert cli("prepare", "smic").code == 0
    code, names = imported("prepare", "smic")
    assert code == 0
    assert not {"torch", "sklearn", "matplotlib"} & names


@pytest.mark.parametrize(
    "words",
    [
        ["bench", "svmflow"],
        ["bench", "svm_flow", "--source", "frames"],
        ["bench", "svm_flow", "--on", "smick"],
        ["datasets"],
        ["leaderboard"],
    ],
)
def test_a_mistake_is_answered_before_anything_heavy_is_imported(here: Path, words: list[str]) -> None:
    code, names = imported(*words)
    assert code == (0 if words == ["datasets"] else 2)
    assert names == set()


def test_what_is_asked_for_and_not_set_up_is_answered_with_how_to(here: Path, cli: Cli) -> None:
    """Without words about data a first look is rendered (test_first_look.py); what is named must be there."""
    for words, parts in {
        ("--source", "published-flow"): (
            "no data are set up",
            "merbench data set published-flow PATH",
            "MERBENCH_PUBLISHED_FLOW",
            "<clip>.png",
        ),
        ("--source", "frames"): ("no frames are set up", "merbench data set casme2 PATH", "MERBENCH_CASME2"),
        ("--source", "frames", "--on", "samm"): ("no frames are set up: samm", "merbench data set samm PATH", "MERBENCH_SAMM"),
        ("--scheme", "megc3"): ("no data are set up for megc3", "merbench data set casme2 PATH", "merbench synth synthetic --size full"),
    }.items():
        found = cli("bench", "svm_flow", *words)
        assert found.code == 2
        for part in parts:
            assert part in found.err
    assert cli("datasets").out.count("not set up") == 8
    assert not list(here.iterdir())


def test_a_prepared_store_is_enough(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that only trains has nothing else: it rendered faces, or failed for want of OpenCV."""
    assert cli("bench", "majority", "--on", "smic").code == 0
    monkeypatch.delenv("MERBENCH_PUBLISHED_FLOW")
    for blocked in ("cv2", "dlib"):
        monkeypatch.setitem(sys.modules, blocked, None)
    found = cli("bench", "majority")
    assert found.code == 0, found.err
    assert "majority on smic, published flow" in found.out
    assert not (with_flow / "synthetic").exists()


def test_from_nothing_to_a_row(here: Path, flat_flow: Path, cli: Cli) -> None:
    found = cli("data", "set", "published-flow", str(flat_flow))
    assert found.code == 0
    assert "smic 164 of 164, casme2 145 of 145, samm 133 of 133" in found.out
    assert "--on 3db" in found.out
    assert str(flat_flow) in cli("data", "list").out
    found = cli("bench", "majority")
    assert found.code == 0
    assert "majority on 3db, published flow, megc3, loso: 442 clips, 68 subjects" in found.out
    for part in ("last epoch", "smic", "casme2", "samm", "95 % interval", "chance UF1", "runs/3db@published-flow/loso-megc3/majority/"):
        assert part in found.out
    assert "0.2408" in found.out, "one class of three right: 2 * 250 / (442 + 250) / 3"
    assert "majority" in cli("leaderboard").out


def test_machine_readable_boards(with_flow: Path, cli: Cli) -> None:
    assert cli("bench", "majority", "--on", "smic").code == 0
    (row,) = json.loads(cli("leaderboard", "--format", "json").out)
    assert (row["method"], row["clips"], row["subjects"]) == ("majority", 164, 16)
    assert cli("leaderboard", "--format", "csv").out.splitlines()[1].startswith("smic,published-flow,megc3,loso,full,majority,last,True,")
    assert cli("leaderboard", "--out", "board.md").code == 0
    assert Path("board.md").read_text() == cli("leaderboard", "--format", "md").out
    assert cli("leaderboard", "--out", "no/such/folder.md").code == 2


def test_one_bad_run_does_not_hide_the_others(with_flow: Path, cli: Cli) -> None:
    for method in ("majority", "prior"):
        assert cli("bench", method, "--on", "smic").code == 0
    next(Path("runs").glob("*/*/prior/*/provenance.json")).unlink()
    found = cli("leaderboard")
    assert found.code == 0
    assert "majority" in found.out
    assert "left out: the provenance of a run cannot be read" in found.err


def test_what_nobody_foresaw_is_a_short_report_with_a_file(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merbench.results.runs_in", lambda _: 1 / 0)
    found = cli("leaderboard")
    assert found.code == 1
    assert "Traceback" not in found.err
    report = Path(found.err.strip().rsplit("file: ", 1)[1])
    assert "ZeroDivisionError" in report.read_text()
    report.unlink()


def test_several_runs_with_a_comma(with_flow: Path, cli: Cli) -> None:
    found = cli("bench", "majority", "--on", "smic,casme2+smic")
    assert found.code == 0
    assert found.out.index("majority on smic,") < found.out.index("majority on smic+casme2,")


def test_compare_by_key(with_flow: Path, cli: Cli) -> None:
    for method in ("majority", "prior"):
        assert cli("bench", method, "--on", "smic").code == 0
    rows = {row["method"]: row for row in json.loads(cli("leaderboard", "--format", "json").out)}
    found = cli("compare", rows["prior"]["key"][:6], rows["majority"]["key"])
    assert found.code == 0
    gap = rows["prior"]["readings"]["last"]["uf1"] - rows["majority"]["readings"]["last"]["uf1"]
    assert f"= {gap:+.4f}" in found.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench"], "Missing argument"),
        (["bench", "svm-flow"], "did you mean 'svm_flow'?"),
        (["bench", "./nowhere.py"], "there is no such file"),
        (["bench", "prior", "--on", "smick"], "did you mean 'smic'?"),
        (["bench", "prior", "--on", "smic,"], "name is empty"),
        (["bench", "prior", "--on", "smic", "--scheme", "megc4"], "did you mean 'megc3'?"),
        (["bench", "prior", "--on", "smic", "--preset", "fast"], "--preset"),
        (["bench", "prior", "--on", "smic", "--seeds", "0"], "--seeds"),
        (["bench", "prior", "--on", "smic", "--workers", "many"], "'many' workers cannot be had"),
        (["bench", "prior", "--on", "smic", "--workers", "0"], "'0' workers cannot be had"),
        (["bench", "prior", "--on", "smic", "--source", "casme2"], "casme2 is a database, not a source"),
        (["bench", "prior", "--on", "smic", "--source", "published_flow"], "did you mean 'published-flow'?"),
        (["bench", "svm_flow", "--on", "smic", "method.cc=3"], "did you mean 'method.c'?"),
        (["bench", "svm_flow", "--on", "smic", "method.c=-1"], "method.c"),
        (["bench", "svm_flow", "--on", "smic", "training.epochs=3"], "svm_flow does not read training.epochs: it is solved at once"),
        (["bench", "ststnet", "--on", "smic", "training.batch=1"], "the smallest fold has 125 clips"),
        (["bench", "ststnet", "--on", "smic", "method.widths={a: 1}"], "method.widths"),
        (["bench", "ststnet", "--on", "smic", "training=null"], "training"),
        (["bench", "ststnet", "--on", "smic", "training.lr=???"], "has no value of its own"),
        (["bench", "prior", "--on", "smic,smic"], "the same data are named twice"),
        (["bench", "prior", "--on", "smic", "--workers", "9" * 5000], "workers cannot be had"),
        (["data", "set", "published-flow", "~nobody-of-that-name/x"], "write the whole path"),
        (["bench", "ststnet", "--on", "smic", "method.dropout=2"], "dropout probability 2.0 is not in [0, 1)"),
        (["bench", "ststnet", "--on", "smic", "training.mirror=true"], "cannot be mirrored before it is centred"),
        (["methods", "ststnett"], "did you mean 'ststnet'?"),
        (["data", "set", "casme2", "."], "no folder sub01/EP02_01f of CASME II in it"),
        (["data", "set", "casme", "."], "did you mean 'casme3'?"),
        (["data", "set", "casme3", "."], "no folder spNO.1_a_355"),
        (["prepare", "macro"], "casme3 has no folder yet"),
        (["prepare", "macro", "--source", "published-flow"], "published-flow has no macro-expression clips"),
        (["data", "set", "synthetic", "."], "holds no rendered database"),
        (["prepare", "smic+casme"], "did you mean 'casme3'?"),
        (["prepare", "smic", "--source", "frames"], "no frames are set up: smic"),
        (
            ["bench", "frl_dgt", "--on", "smic"],
            "published-flow cannot serve this method: the method reads frames; the method reads landmarks",
        ),
        (["bench", "sssnet", "--on", "smic"], "do: method.size=28, where the method has that argument"),
        (["data", "set", "published-flow", "nowhere"], "there is no such folder"),
        (["data", "set", "published-flow", "."], "holds no flow image"),
        (["compare", "a", "b"], "there is no run 'a'"),
        (["leaderboard"], "there is no run yet"),
        (["leaderbord"], "leaderboard"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_two(with_flow: Path, cli: Cli, words: list[str], message: str) -> None:
    found = cli(*words)
    assert found.code == 2
    assert message in " ".join(found.err.split())
    assert "Traceback" not in found.err
    assert not list(Path().rglob("*.parquet"))


def test_methods_tell_what_is_the_papers(cli: Cli) -> None:
    found = cli("methods").out
    for name in ("ststnet", "svm_flow", "prior", "majority"):
        assert name in found
    card = cli("methods", "ststnet").out
    for part in ("1902.03634", "1,683", "method.widths=[3, 5, 8]", "departure", "network: port"):
        assert part in card


def test_the_golden_rows_on_real_flow(reference: Path, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rows of traps.md, section 8, within .002."""
    monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", str(reference / "flow28"))
    assert cli("bench", "svm_flow").code == 0
    assert cli("bench", "svm_flow", "method.centred=false", "method.mirrored=false").code == 0
    found = {row["method"]: row["readings"]["last"] for row in json.loads(cli("leaderboard", "--format", "json").out)}
    raw, centred = found["svm_flow[centred=false,mirrored=false]"], found["svm_flow"]
    assert (raw["uf1"], raw["uar"]) == pytest.approx((0.7387, 0.7430), abs=0.002)
    assert (centred["uf1"], centred["uar"]) == pytest.approx((0.7829, 0.7907), abs=0.002)
    assert raw["parts"]["smic"][:2] == pytest.approx([0.6580, 0.6589], abs=0.002)
    assert centred["parts"]["casme2"][:2] == pytest.approx([0.8864, 0.9005], abs=0.002)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--out", "table.csv"), "none is asked for"),
        (("--ablation", "all", "--out", "table.tex"), "one of .md, .csv, .json"),
        (("--ablation", "all", "--out", "nowhere/table.md"), "its folder is not there"),
    ],
)
def test_a_table_that_cannot_be_written_is_refused_before_anything_is_trained(
    with_flow: Path, cli: Cli, words: tuple[str, ...], told: str
) -> None:
    done = cli("bench", "svm_flow", "--on", "smic", *words)
    assert done.code == 2
    assert told in done.err
    assert not (with_flow / "runs").exists()


def test_a_method_beside_its_ablations(with_flow: Path, cli: Cli) -> None:
    """One table; every run in it is the run that its overrides give, so nothing is trained twice."""
    words = ("bench", "svm_flow", "--on", "smic", "--workers", "1")
    assert cli(*words, "method.mirrored=false").code == 0
    done = cli(*words, "--ablation", "all")
    assert done.code == 0
    lines = {line.split("  ")[0]: line for line in done.out.splitlines()}
    assert {"the whole method", "not-centred", "not-mirrored", "without-strain", "not-balanced"} <= set(lines)
    assert "16 finished before, 0 to do" in done.err
    assert "the paper" not in done.out, "no paper says anything of these"
    assert "not-mirrored: faces are not learnt from in the mirror too (method.mirrored=false)" in done.out
    assert [line.split()[:2] for line in done.out.splitlines() if line.startswith("chance")] == [["chance", "(guesses)"]]
    again = cli(*words, "--ablation", "not-centred", "--out", "table.csv")
    assert "not-centred" in again.out
    assert [line.split(",")[7] for line in Path("table.csv").read_text().splitlines()] == ["ablation", "", "not-centred"]
    assert "not-mirrored" not in again.out
    assert len(list((with_flow / "runs").glob("*/*/svm_flow/*"))) == 5
