"""Requests and overrides on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from merbench import methods
from merbench.config import Data
from merbench.data.prepared import Prepared
from merbench.engine.trial import tried
from merbench.method import METHODS
from merbench.presets import resolve
from tests.conftest import Cli
from tests.hostile import refusal, refused

OVERRIDES: dict[str, tuple[str, str, str]] = {
    "no value": ("training.epochs", "is no override", "write key=value"),
    "no name": ("=3", "is no override", "write key=value"),
    "an unknown name": ("training.epoch=3", "no setting 'training.epoch'", "did you mean 'training.epochs'?"),
    "a look-alike": ("training.\u0435pochs=3", "no setting", "training.epochs"),
    "a look-alike number": ("training.epochs=\u0663\u0661", "digits of another script", "0 to 9"),
    "full-width digits": ("training.epochs=\uff13", "digits of another script", "0 to 9"),
    "a word for a number": ("training.epochs=many", "training.epochs", "the type it names"),
    "a fraction of an epoch": ("training.epochs=2.5", "training.epochs", "the type it names"),
    "no epochs": ("training.epochs=0", "training.epochs is 0", "from 1 to 10,000"),
    "negative epochs": ("training.epochs=-1", "training.epochs is -1", "from 1 to 10,000"),
    "a million million epochs": ("training.epochs=1000000000000", "training.epochs is 1000000000000", "from 1 to 10,000"),
    "an enormous number": (f"training.epochs={'9' * 900}", "training.epochs is 999", "from 1 to 10,000"),
    "a batch of a million million": ("training.batch=1000000000000", "training.batch is", "from 1 to 1,000,000"),
    "no number": ("training.lr=nan", "nan", "a finite number"),
    "no end": ("training.lr=inf", "training.lr is inf", "a finite number"),
    "a number that overflows": ("training.lr=1e999", "training.lr is inf", "a finite number"),
    "a negative rate": ("training.lr=-1e-3", "training.lr is -0.001", "a finite number"),
    "nothing": ("training.epochs=null", "training.epochs", "the type it names"),
    "the home folder": ("training.order=${oc.env:HOME}", "has no value of its own", "write the value"),
    "another setting": ("training.epochs=${training.batch}", "has no value of its own", "write the value"),
    "a resolver": ("method.dropout=${oc.decode:1}", "has no value of its own", "write the value"),
    "a value to come": ("training.lr=???", "has no value of its own", "write the value"),
    "a tag": ("training.lr=!!python/object/apply:os.getcwd []", "a tag", "write key=value"),
    "aliases": ("method.widths=[&a [1,1,1], *a]", "an alias", "write key=value"),
    "levels": (f"method.widths={'[' * 60}", "levels", "write key=value"),
    "not closed": ("method.widths=[1", "cannot be read", "write key=value"),
    "words for numbers": ("method.widths=[a, b]", "another type", "the type it names"),
    "no widths": ("method.widths=[]", "cannot be built", "merbench methods"),
    "negative widths": ("method.widths=[-3]", "cannot be built", "merbench methods"),
    "a width beyond every number": (f"method.widths=[{'9' * 40}]", "cannot be built", "merbench methods"),
    "a width of terabytes": ("method.widths=[100000000000]", "GiB", "smaller widths"),
    "widths of terabytes": ("method.widths=[9000000000,9000000000]", "GiB", "smaller widths"),
    "a whole section": ("training={epochs: 3}", "names no single setting", "training.epochs"),
    "below a number": ("training.epochs.x=3", "training.epochs", ""),
    "a long override": (f"training.epochs={'1' * 5000}", "characters long", "write key=value"),
    "escape sequences": ("training.\x1b[2J=3", "no setting", "known:"),
    "a second line": ("training.epochs=3\nmerbench: done", "training.epochs", ""),
    "bytes that are no text": ("training.order=\udcff", "cannot be read", "write key=value"),
}


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_bad_override(with_flow: Path, cli: Cli, name: str) -> None:
    override, place, remedy = OVERRIDES[name]
    refused(cli("bench", "ststnet", "--on", "smic", override), file="", place=place, remedy=remedy)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "place", "remedy"),
    [
        (("--on", "smic+"), "name is empty", "join several"),
        (("--on", "smic+smic"), "named twice", "write smic"),
        (("--on", "../smic"), "no database '../smic'", "did you mean 'smic'?"),
        (("--on", "sm\u0456c"), "no database", "known:"),
        (("--on", "smic", "--source", "published-flow/.."), "no data source", ""),
        (("--on", "smic", "--workers", "\u0661"), "workers cannot be had", "a number from 1"),
        (("--on", "smic", "--workers", "1e3"), "workers cannot be had", "a number from 1"),
        (("--on", "smic", "--workers", "-1"), "workers cannot be had", "a number from 1"),
    ],
)
def test_a_bad_option(with_flow: Path, cli: Cli, words: tuple[str, ...], place: str, remedy: str) -> None:
    answer = cli("bench", "prior", *words)
    assert "Traceback" not in answer.err
    assert answer.code == 2
    assert place in answer.err
    assert remedy in answer.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("override", ["method.dim=100000000000", "method.widths=[1000000000,1,1,1]"])
def test_every_method_is_measured_before_it_is_built(override: str, small_faces: Prepared) -> None:
    tried_and_refused("frl_dgt", [override], small_faces, file=override.partition("=")[0], place="")


@pytest.mark.parametrize(
    ("name", "overrides", "place"),
    [
        ("frl_dgt", ["method.warm_up=-1"], "frl_dgt, stage 'warm-up': epochs is -1"),  # which Lightning takes for "for ever"
        ("moext", ["method.pretraining=-1"], "moext, stage 'pre-training': epochs is -1"),
        ("micro_attention", ["method.macro_epochs=1", "method.macro_batch=0"], "micro_attention, stage 'macro': batch is 0"),
        ("micro_attention", ["method.macro_epochs=1", "method.macro_lr=-0.1"], "micro_attention, stage 'macro': lr is -0.1"),
    ],
)
def test_a_stage_s_own_settings_are_looked_at_like_a_request_s(name: str, overrides: list[str], place: str, small_faces: Prepared) -> None:
    tried_and_refused(name, overrides, small_faces, file=f"{name}, stage", place=place)


def tried_and_refused(name: str, overrides: list[str], prepared: Prepared, *, file: str, place: str) -> None:
    methods.load(name)
    request = resolve(name, METHODS[name], data=Data("smic", "synthetic"), preset="quick", overrides=overrides)
    refusal(lambda: tried(request, prepared, name), file=file, place=place, remedy="")
