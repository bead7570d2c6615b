"""Runs that are pre-trained on pictures of expressions: their rows say that nobody knows who is on them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from merbench.data import prepare, schemes, store
from merbench.data.prepared import Prepared
from merbench.data.sources import expressions
from merbench.sample import EMOTIONS, Clip
from tests.conftest import Cli
from tests.hostile import refused

WORDS = ("--source", "synthetic", "--on", "smic", "--scheme", "megc3", "--preset", "quick", "training.epochs=1", "training.batch=6")


@pytest.fixture
def stored(here: Path, small_faces: Prepared, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A working folder with six people to be judged, and twelve pictures to pre-train on, half of them of whom is not known; return these."""
    for name in ("SYNTHETIC", "SMIC", "CASME3", "EXPRESSIONS"):
        monkeypatch.delenv(f"MERBENCH_{name}", raising=False)
    labels = {clip.key: int(label) for clip, label in zip(small_faces.clips, small_faces.labels, strict=True)}
    few = schemes.Scheme("megc3", small_faces.classes, small_faces.clips, labels, "these tests")
    monkeypatch.setattr(schemes, "listed_part", lambda *_: few)
    monkeypatch.setattr(schemes, "scheme", lambda *_: few)
    store.save(small_faces, how=prepare.how(()))
    people = [expressions.NOBODY, "anna"] * 6
    clips = tuple(
        Clip(
            expressions.NAME,
            f"{expressions.NAME}/{person}",
            f"{index}.png",
            flags=(expressions.STILL, *([expressions.UNKNOWN] if person == expressions.NOBODY else [])),
        )
        for index, person in enumerate(people)
    )
    pictures = dataclasses.replace(
        small_faces.first(12),
        on=expressions.NAME,
        scheme="seven-emotions",
        clips=clips,
        classes=EMOTIONS,
        labels=np.arange(12, dtype=np.int64) % 7,
    )
    store.save(pictures, Path("prepared/macro"))
    return pictures


@pytest.mark.torture
def test_the_row_says_that_persons_are_not_known(stored: Prepared, cli: Cli) -> None:
    pretrained = ("method.macro_epochs=1", "method.macro_batch=4", "method.size=32")
    answer = cli("bench", "micro_attention", *WORDS, *pretrained, "--workers", "2")
    assert answer.code == 0, answer.err
    told = "persons of the expression pictures are not known to be others than the held-out (6 clips)"
    assert told in " ".join(answer.out.split())
    plain = cli("bench", "micro_attention", *WORDS, "method.size=32", "--workers", "1")
    assert plain.code == 0, plain.err
    assert "expression pictures" not in plain.out, "who is not pre-trained has nothing to tell"


def test_an_audit_finds_nothing_and_says_of_whom_it_is_not_known(stored: Prepared, cli: Cli) -> None:
    words = ("--source", "synthetic", "--on", "smic", "--scheme", "megc3", "--folds", "1", "--no-preparation", "--workers", "1")
    small = (
        "training.epochs=1",
        "training.batch=6",
        "method.macro_epochs=1",
        "method.macro_batch=4",
        "method.size=32",
        "method.widths=[4,4]",
    )
    answer = cli("audit", "micro_attention", *words, *small)
    said = " ".join(answer.out.split())
    assert "weights, optimiser and losses of macro, fine-tuning, and predictions" in said, answer.err
    assert "pre-trained on 2, of whom is not known of 6 pictures" in said
    assert answer.code == 0, said


def test_who_compares_onset_and_apex_is_not_pre_trained_on_stills(stored: Prepared, cli: Cli) -> None:
    """Nothing that it declares says so: a picture's onset is its apex, and the motion between them would be learnt to be none."""
    small = ("method.macro=true", "method.size=32", "method.width=4", "method.widths=[4,4]")
    answer = cli("bench", "moext", *WORDS, *small, "--macro", "expressions", "--workers", "1")
    refused(answer, file="synthetic", place="the onset beside the apex, and expression pictures are stills", remedy="--macro casme3")
    assert not Path("runs").exists()


@pytest.mark.torture
def test_two_kinds_of_prepared_sets_are_a_choice(stored: Prepared, cli: Cli) -> None:
    clips = tuple(Clip("casme3-macro", f"casme3-macro/spNO.{index % 3}", f"a_{index}") for index in range(12))
    store.save(dataclasses.replace(stored, on="casme3-macro", clips=clips), Path("prepared/macro"))
    pretrained = ("method.macro_epochs=1", "method.macro_batch=4", "method.size=32", "--workers", "1")
    answer = cli("bench", "micro_attention", *WORDS, *pretrained)
    refused(answer, file="synthetic", place="macro-expression clips and expression pictures", remedy="--macro expressions")
    keys = []
    for kind in ("casme3", "expressions"):
        assert cli("bench", "micro_attention", *WORDS, *pretrained, "--macro", kind, "--runs", kind).code == 0
        (request,) = Path(kind).rglob("request.yaml")
        keys.append(request.parent.name)
    assert len(set(keys)) == 2, "what is learnt from is part of the key"
