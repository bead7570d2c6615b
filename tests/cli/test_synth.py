"""merbench synth, from the words to the closing line."""

from __future__ import annotations

from pathlib import Path

import pytest

from merbench.data.synthetic import write
from tests.conftest import Cli
from tests.data.synthetic.test_write import FEW, Cheap


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> Cheap:
    """Five clips, flat images."""
    made = Cheap()
    monkeypatch.setattr(write, "render", made.render)
    monkeypatch.setattr(write, "truth_of", made.truth)
    monkeypatch.setattr(write, "scenes", lambda size, seed: FEW)
    return made


def test_it_says_what_was_written_and_what_is_next(here: Path, cli: Cli, cheap: Cheap) -> None:
    found = cli("synth", "my data", "--size", "mini", "--workers", "1", "--on", "3db,macro")
    assert found.code == 0
    assert f"wrote 4 clips of 4 subjects: {len(cheap.rendered)} frames" in found.out
    assert "next: merbench data set synthetic 'my data'" in found.out
    assert "merbench bench frl_dgt --source synthetic --scheme megc3-mini" in found.out
    assert "4 of 4 clips" in found.err
    again = cli("synth", "my data", "--size", "mini", "--workers", "1")
    assert "wrote 1 clip of 1 subject: " in again.out
    assert "4 clips finished before" in again.out
    assert "nothing was missing: 5 clips are there" in cli("synth", "my data", "--size", "mini").out


def test_full_is_followed_by_the_whole_scheme(here: Path, cli: Cli, cheap: Cheap) -> None:
    found = cli("synth", "data", "--size", "full", "--workers", "1", "--on", "smic", "--all-frames")
    assert "--scheme megc3\n" in found.out
    assert len(cheap.rendered) == FEW[0].length


def test_an_interrupted_run_keeps_its_clips(here: Path, cli: Cli, cheap: Cheap) -> None:
    cheap.stop_after = 25
    found = cli("synth", "data", "--size", "mini", "--workers", "1")
    assert found.code == 130
    assert "interrupted: 2 of 5 clips are kept" in found.err
    cheap.stop_after = None
    assert "wrote 3 clips of 2 subjects" in cli("synth", "data", "--size", "mini", "--workers", "1").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["synth"], "Missing argument"),
        (["synth", "data"], "--size"),
        (["synth", "data", "--size", "midi"], "--size"),
        (["synth", "data", "--size", "mini", "--on", "sam"], "did you mean 'samm'?"),
        (["synth", "data", "--size", "mini", "--on", "smic,"], "name is empty"),
        (["synth", "data", "--size", "mini", "--seed", "-1"], "--seed"),
        (["synth", "data", "--size", "mini", "--workers", "0"], "--workers"),
        (["synth", "file", "--size", "mini"], "the disk refuses"),
        (["synth", "full", "--size", "mini"], "a real database is never touched"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_two(here: Path, cli: Cli, cheap: Cheap, words: list[str], message: str) -> None:
    Path("file").write_text("")
    Path("full/samm/SAMM/006").mkdir(parents=True)
    found = cli(*words)
    assert found.code == 2
    assert message in " ".join(found.err.split())
    assert "Traceback" not in found.err
    assert not cheap.rendered
