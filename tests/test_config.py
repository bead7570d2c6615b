from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from merbench import config, presets
from merbench.config import Data, Request, Training, load_request, run_key
from merbench.errors import UserError
from merbench.presets import dump_request, resolve


class Example:
    def __init__(
        self, classes: int, c: float = 1.0, widths: tuple[int, ...] = (3, 5), mode: Literal["a", "b"] = "a", on: bool = True
    ) -> None: ...


def ask(*overrides: str) -> Request:
    return resolve("example", Example, data=Data("smic+casme2"), overrides=overrides)


def key(request: Request, fingerprint: str = "f", **versions: int) -> str:
    return run_key(request, fingerprint, {"method": 1, "engine": 1, **versions})


def test_defaults_of_the_constructor_are_in_the_request() -> None:
    request = ask()
    assert request.arguments == {"c": 1.0, "widths": [3, 5], "mode": "a", "on": True}
    assert request.training == Training()
    assert request.name == "example"


def test_overrides_are_typed_and_named() -> None:
    request = ask("method.c=3", "method.widths=[4,4,4]", "training.epochs=7", "training.order=by-class")
    assert request.arguments["c"] == 3.0
    assert isinstance(request.arguments["c"], float)
    assert request.arguments["widths"] == [4, 4, 4]
    assert request.training == Training(epochs=7, order="by-class")
    assert request.name == "example[c=3.0,widths=[4, 4, 4],training.epochs=7,training.order=by-class]"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("method.cc=3", "did you mean 'method.c'?"),
        ("epochs=3", "did you mean 'training.epochs'?"),
        ("training.epoch=3", "did you mean 'training.epochs'?"),
        ("zzz.yyy=3", "there is no setting 'zzz'"),
        ("method.c=abc", "method.c: Value 'abc'"),
        ("method.c=nan", "nan cannot be part of a request"),
        ("method.c=[1", "an override cannot be read"),
        ("method.on=perhaps", "method.on: Value 'perhaps'"),
        ("method.mode=c", "expected one of ['a', 'b']"),
        ("method.widths=3", "method.widths"),
        ("method.widths=[a]", "an element of a list has another type"),
        ("method.c=${training.epochs}", "has no value of its own"),
        ("training.epochs=2.5", "training.epochs: Value '2.5'"),
        ("training.epochs=0", "training.epochs is 0"),
        ("training.batch=-1", "training.batch is -1"),
        ("training.lr=inf", "training.lr is inf"),
        ("training.order=sorted", "expected one of ['shuffled', 'by-class']"),
        ("training.schedule=linear", "expected one of ['constant', 'step', 'cosine']"),
        ("training.decay=1.5", "training.decay is 1.5"),
        ("training.decay_every=0", "training.decay_every is 0"),
        ("training.rotate=-1", "training.rotate is -1"),
        ("training.rotate=nan", "training.rotate is nan"),
        ("training.crop=0.05", "training.crop is 0.05"),
        ("training.crop=1.1", "training.crop is 1.1"),
        ("training.crop_at=middle", "expected one of ['corners', 'anywhere']"),
        ("training.brightness=256", "training.brightness is 256"),
        ("training=3", "names no single setting"),
        ("epochs", "'epochs' is no override"),
        ("=3", "'=3' is no override"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        ask(override)
    assert message in str(caught.value)
    assert caught.value.where
    assert caught.value.remedy


def test_overrides_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UserError, match="contradict each other"):
        ask("method.mode=[]", "method.mode.a=3")


def test_an_argument_without_default_is_the_authors_mistake() -> None:
    class Unfinished:
        def __init__(self, classes: int, width: int) -> None: ...

    with pytest.raises(UserError, match="'width' of method unfinished needs a type and a default"):
        resolve("unfinished", Unfinished, data=Data())


def test_a_preset_with_an_unknown_key_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "full.yaml").write_text("training: {epoch: 3}\n")
    monkeypatch.setattr(presets, "shipped", lambda folder: tmp_path)
    with pytest.raises(UserError, match=r"full\.yaml"):
        ask()


def test_quick_lies_over_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "full.yaml").write_text("training: {epochs: 900, lr: 0.5}\nmethod: {c: 9}\n")
    (tmp_path / "quick.yaml").write_text("training: {epochs: 20}\n")
    monkeypatch.setattr(presets, "shipped", lambda folder: tmp_path)
    full, quick = ask(), resolve("example", Example, data=Data(), preset="quick")
    assert (full.training.epochs, full.training.lr, full.arguments["c"], full.name) == (900, 0.5, 9.0, "example")
    assert (quick.training.epochs, quick.training.lr, quick.name) == (20, 0.5, "example"), "a preset is no override"


def test_the_key_covers_what_decides_numbers() -> None:
    base = key(ask())
    different = {
        key(ask("method.c=2")),
        key(ask("method.widths=[3,5,8]")),
        key(ask("training.lr=0.01")),
        key(ask("training.record=last")),
        key(dataclasses.replace(ask(), scheme="other")),
        key(dataclasses.replace(ask(), protocol="other")),
        key(dataclasses.replace(ask(), data=Data("smic"))),
        key(ask(), "other data"),
        key(ask(), method=2),
        key(ask(), engine=2),
    }
    assert len(different | {base}) == 11


def test_the_key_does_not_depend_on_how_it_was_asked_for() -> None:
    assert key(ask("method.c=1")) == key(ask("method.c=1.0")) == key(ask())
    assert key(ask("method.c=2", "training.epochs=3")) == key(ask("training.epochs=3", "method.c=2.0"))


def test_a_new_default_gives_another_key() -> None:
    class Later:
        def __init__(
            self, classes: int, c: float = 1.0, widths: tuple[int, ...] = (3, 5), mode: Literal["a", "b"] = "a", on: bool = False
        ) -> None: ...

    assert key(resolve("example", Later, data=Data("smic+casme2"))) != key(ask())


def test_an_argument_that_came_later_moves_the_key_only_where_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later:
        later = ("grid", "cap")

        def __init__(
            self,
            classes: int,
            c: float = 1.0,
            widths: tuple[int, ...] = (3, 5),
            mode: Literal["a", "b"] = "a",
            on: bool = True,
            grid: tuple[int, int] = (4, 4),
            cap: float = 5.0,
        ) -> None: ...

    def asked(*overrides: str) -> Request:
        return resolve("example", Later, data=Data("smic+casme2"), overrides=overrides)

    assert key(asked()) == key(ask())
    assert key(asked("method.grid=[4,4]", "method.cap=5")) == key(ask()), "the default, asked for"
    used = asked("method.grid=[2,4]")
    assert (used.arguments["grid"], "cap" in used.arguments) == ([2, 4], False)
    assert used.name == "example[grid=[2, 4]]"
    assert key(used) != key(ask())
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "full.yaml").write_text("method: {cap: 2}\n")
    monkeypatch.setattr(presets, "shipped", lambda folder: tmp_path)
    assert asked().arguments["cap"] == 2.0
    assert "cap" not in asked("method.cap=5").arguments
    assert asked("method.cap=5").name == "example[cap=5.0]"


def test_the_key_is_the_same_on_every_machine() -> None:
    """Pinned: hash seeds, dictionary order, Python and platform must not move it. A change here loses every user's finished runs."""
    assert key(ask()) == "f70aa71d3f3dcb3d"


BEFORE = """\
method: example
arguments:
  c: 1.0
  widths:
  - 3
  - 5
  mode: a
  'on': true
data:
  'on': smic+casme2
  source: published-flow
  apex: middle
  face: aligned
scheme: megc3
protocol: loso
preset: full
training:
  epochs: 60
  batch: 64
  lr: 0.001
  weight_decay: 0.0
  order: shuffled
  mirror: false
  record: every
changes: []
"""
"""A request as it was written before there were further settings of training."""


def test_settings_that_came_later_move_no_run_that_does_not_use_them(tmp_path: Path) -> None:
    assert dump_request(ask()) == BEFORE
    (tmp_path / "request.yaml").write_text(BEFORE)
    assert load_request(tmp_path / "request.yaml") == ask()
    used = {
        key(ask(f"training.{change}"))
        for change in (
            "balance=true",
            "schedule=step",
            "decay=0.5",
            "decay_every=5",
            "rotate=8",
            "crop=0.9",
            "crop_at=anywhere",
            "brightness=20",
            "inner=3",
        )
    }
    assert len({*used, key(ask())}) == len(config.LATER) + 1
    assert key(ask("training.balance=false", "training.crop=1", "training.decay=0.1")) == key(ask())
    assert set(config.LATER) == {field.name for field in dataclasses.fields(Training)} - {
        "epochs",
        "batch",
        "lr",
        "weight_decay",
        "order",
        "mirror",
        "record",
    }


def test_the_key_does_not_depend_on_the_hash_seed() -> None:
    program = "from tests.test_config import ask, key; import sys; sys.stdout.write(key(ask('method.c=0.1', 'training.lr=3e-4')))"
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {key(ask("method.c=0.1", "training.lr=3e-4"))}


def test_a_request_goes_round(tmp_path: Path) -> None:
    request = ask("method.c=3", "training.mirror=true")
    path = tmp_path / "request.yaml"
    path.write_text(dump_request(request))
    assert load_request(path) == request
    assert key(load_request(path)) == key(request)


@pytest.mark.parametrize("text", ["", "[1, 2]", "method: x", "{", "a: ${b}", "method: !!python/object/apply:os.getcwd []"])
def test_a_broken_request_is_one_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "request.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="the request of a run cannot be read"):
        load_request(path)


def test_canonical_form_is_plain_json() -> None:
    assert json.loads(json.dumps(config.canonical(ask()))) == config.canonical(ask())
    with pytest.raises(ValueError, match="a set cannot be part"):
        config.canonical({"a": {1}})
