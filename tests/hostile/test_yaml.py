"""merbench.yaml and the presets: tables, words and numbers, and nothing that is made, looked up or repeated."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from merbench import config, presets
from tests.conftest import Cli
from tests.hostile import refused

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

TEXTS: dict[str, tuple[str, str]] = {
    "a tag that makes an object": ("data: !!python/object/apply:os.system ['touch owned']\n", "line 1: a tag"),
    "a tag that looks up a name": ("data:\n  smic: !!python/name:os.getcwd\n", "line 2: a tag"),
    "a tag of YAML's own": ("data:\n  smic: !!binary aGVsbG8=\n", "line 2: a tag"),
    "a tag that breaks its reader": ("data:\n  smic: !!float ''\n", "line 2: a tag"),
    "aliases that grow": (LAUGHS, "line 2: an alias"),
    "an alias to itself": ("data: &a [*a]\n", "line 1: an alias"),
    "a key twice": ("data:\n  smic: /a\n  smic: /b\n", "line 3: the key 'smic' stands there twice"),
    "a table for a key": ("data:\n  ? {a: b}\n  : c\n", "line 2: a key is no word"),
    "levels without end": ("data: " + "[" * 50_000, "levels"),
    "levels of blocks": ("".join(f"{' ' * n}a:\n" for n in range(200)), "levels"),
    "an interpolation": ("data:\n  smic: ${oc.env:HOME}\n", "line 2: '${oc.env:HOME}' has no value of its own"),
    "a list": ("- data\n", "line 1: it is no table"),
    "a bare word": ("data\n", "line 1: it is no table"),
    "not closed": ("data: {smic: /a\n", "line 2"),
    "tabs": ("data:\n\tsmic: /a\n", "line 2"),
    "control characters": ("data: \x07\n", "special characters are not allowed"),
    "two documents": ("data: {}\n---\ndata: {}\n", "line 2"),
}
CONTENTS: dict[str, tuple[bytes, str]] = {
    **{name: (text.encode(), place) for name, (text, place) in TEXTS.items()},
    "not UTF-8": (b"data: \xff\xfe\n", "position 6"),
    "NUL": (b"\0" * 100, "special characters are not allowed"),
    "a huge file": (b"# " + b"x" * 2**21, "longer than"),
}
ONLY_SETTINGS: dict[str, tuple[str, str, str]] = {
    "an unknown name": ("dta:\n  smic: /a\n", "no name 'dta'", "did you mean 'data'?"),
    "an unknown place": ("data:\n  casme22: /a\n", "no name 'casme22'", "did you mean 'casme2'?"),
    "a number for a folder": ("data:\n  smic: 3\n", "does not give a folder", "correct or delete"),
    "a truth for a folder": ("data:\n  smic: yes\n", "does not give a folder", "correct or delete"),
    "a folder with NUL": ('data:\n  smic: "a\\0b"\n', "does not give a folder", "correct or delete"),
    "a list of folders": ("data: [smic]\n", "does not give a folder", "correct or delete"),
    "nothing for a table": ("data:\n", "does not give a folder", "correct or delete"),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("verb", ["datasets", "set"])
def test_bad_settings(bare: Path, cli: Cli, name: str, verb: str) -> None:
    content, place = CONTENTS[name]
    Path("merbench.yaml").write_bytes(content)
    words = ("datasets",) if verb == "datasets" else ("bench", "prior", "--scheme", "megc3")
    refused(cli(*words), file=bare / "merbench.yaml", place=place, remedy="correct or delete the file")
    assert Path("merbench.yaml").read_bytes() == content
    assert not Path("owned").exists()


@pytest.mark.parametrize("name", ONLY_SETTINGS)
def test_settings_that_say_what_cannot_be(bare: Path, cli: Cli, name: str) -> None:
    text, place, remedy = ONLY_SETTINGS[name]
    Path("merbench.yaml").write_text(text)
    refused(cli("datasets"), file=bare / "merbench.yaml", place=place, remedy=remedy)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link in a circle", "device"])
def test_settings_that_are_no_file(bare: Path, cli: Cli, kind: str) -> None:
    path = Path("merbench.yaml")
    make: dict[str, Callable[[Path], object]] = {
        "pipe": os.mkfifo,
        "folder": os.mkdir,
        "link in a circle": lambda p: p.symlink_to(p),
        "device": lambda p: p.symlink_to("/dev/zero"),
    }
    make[kind](path)
    refused(cli("datasets"), file=bare / path, place="cannot be read", remedy="correct or delete")


@pytest.fixture
def preset(with_flow: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """STSTNet's full preset, to spoil."""
    root = with_flow / "experiments"
    shutil.copytree(config.shipped("experiments"), root)
    whole = config.shipped
    monkeypatch.setattr(presets, "shipped", lambda folder: root if folder == "experiments" else whole(folder))
    return root / "ststnet" / "full.yaml"


@pytest.mark.parametrize("name", CONTENTS)
def test_a_bad_preset(preset: Path, cli: Cli, name: str) -> None:
    content, place = CONTENTS[name]
    preset.write_bytes(content)
    refused(cli("bench", "ststnet", "--on", "smic"), file=preset, place=place, remedy="git checkout -- experiments")
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("training: {epoch: 3}", "no setting 'training.epoch'", "did you mean 'training.epochs'?"),
        ("training: {epochs: many}", "training.epochs", "the type it names"),
        ("training: {epochs: 2014-05-08}", "2014-05-08", "the type it names"),
        ("training: 3", "training", "the type it names"),
        ("methd: {}", "no setting 'methd'", "known:"),
        ("method: {widths: {a: 1}}", "method.widths", "the type it names"),
        ("method: {dropout: .nan}", "nan", "a finite number"),
        ("training: {epochs: 1000000000000}", "training.epochs is 1000000000000", "from 1 to 10,000"),
    ],
)
def test_a_preset_that_says_what_cannot_be(preset: Path, cli: Cli, text: str, place: str, remedy: str) -> None:
    preset.write_text(text)
    answer = cli("bench", "ststnet", "--on", "smic")
    file = preset if "epochs is" not in place and "nan" not in place else ""
    refused(answer, file=file, place=place, remedy=remedy)
