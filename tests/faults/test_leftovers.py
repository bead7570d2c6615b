"""What killed commands leave behind, and what goes away while a command runs."""

from __future__ import annotations

import random
from pathlib import Path

from filelock import FileLock

from tests.faults.commands import Command, at_home, files, stamps

PRIOR = ("bench", "prior", "--on", "smic", "--workers", "2")
TRAIN = ("bench", "ststnet", "--on", "smic", "training.epochs=5", "--workers", "2")


def test_dead_remains_are_removed_and_living_ones_are_not(with_flow: Path) -> None:
    """Each unfinished set may be as large as a finished one, and a nightly job that is killed leaves another every night."""
    source = Path("prepared/published-flow")
    dead, living = source / ".unfinished-dead", source / ".unfinished-living"
    for folder in (dead, living):
        folder.mkdir(parents=True)
        (folder / "flow.npy").write_bytes(b"half")
    with FileLock(f"{living}.lock"):
        code, said = at_home(*PRIOR, root=with_flow)
    assert code == 0, said
    assert not dead.exists()
    assert (living / "flow.npy").read_bytes() == b"half"

    before = stamps(Path("runs"))
    run = next(Path("runs").rglob("request.yaml")).parent
    remains = [run / "folds" / ".smic--s01--s1.parquet.0123abcd", run / ".provenance.json.89abcdef", run / ".request.yaml.00000000"]
    for path in (*remains, run / ".note"):
        path.write_bytes(b"half")
    code, said = at_home(*PRIOR, "--seeds", "2", root=with_flow)
    assert code == 0, said
    assert not [path for path in remains if path.exists()]
    assert (run / ".note").exists()
    assert before.items() <= stamps(Path("runs")).items()


def test_results_that_go_away_and_come_back(with_flow: Path) -> None:
    """A disk that is unmounted, and a fork server that is killed: one message, and the same command goes on."""
    command = Command(*TRAIN)
    command.until(lambda: len(files(Path("runs"))) >= 2)
    assert command.running, command.said()
    command.kill("server", random.Random(0))
    Path("runs").rename("away")
    assert command.end() == 2, command.said()
    assert command.said().count("results cannot be written") == 1
    assert "Traceback" not in command.said()
    Path("away").rename("runs")
    before = stamps(Path("runs"))
    code, said = at_home(*TRAIN, root=with_flow)
    assert code == 0, said
    assert before.items() <= stamps(Path("runs")).items(), "a finished fold was trained again"
    code, said = at_home(*TRAIN, "--runs", "undisturbed", root=with_flow)
    assert code == 0, said
    assert files(Path("runs")) == files(Path("undisturbed"))
