"""From a request to prepared sets: which source, and what is said where it is not what it should be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from merbench.config import Data
from merbench.data import load, places, prepare, schemes, store
from merbench.data.prepared import Prepared
from merbench.errors import UserError
from merbench.sample import Clip
from merbench.settings import variable
from tests.conftest import Rendered

FOUND = Path("found")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What would be prepared."""
    calls: list[dict[str, object]] = []

    def prepare(source: str, scheme: schemes.Scheme, footage: tuple[object, ...], **others: object) -> Path:
        calls.append({"source": source, "scheme": scheme.name, "footage": footage, **others})
        return FOUND

    monkeypatch.setattr(load, "prepare", prepare)
    return calls


def set_in_store(source: str, on: str, scheme: str, clips: int = 2) -> Path:
    made = tuple(Clip(on.split("+")[0], f"{on}/1", str(index)) for index in range(clips))
    arrays = {"flow": np.full((clips, 2, 4, 4), len(scheme), np.float16)}
    return store.save(Prepared(on, source, scheme, made, ("a", "b"), np.arange(clips) % 2, arrays, "pixels"), Path("prepared"))


def prepared_elsewhere(scheme: str, how: str, value: int = 1, clips: int | None = None) -> Path:
    """Put SMIC's listed clips into the store, as a machine with frames would have."""
    listed = schemes.scheme(scheme)
    kept = listed.select(("smic",))[:clips]
    labels = np.array([listed.labels[clip.key] for clip in kept])
    arrays = {"flow": np.full((len(kept), 2, 4, 4), value, np.float16)}
    return store.save(Prepared("smic", "frames", scheme, kept, listed.classes, labels, arrays, "pixels"), Path("prepared"), how)


def mark(folder: Path, size: str = "mini", finished: bool = True) -> Path:
    folder.mkdir(parents=True)
    parts = {folder.name: {"clips": 1, "all_frames": False, "finished": finished}}
    about = {"size": size, "seed": 0, "renderer": 1, "all_frames": False, "clips": 1, "finished": finished, "parts": parts}
    (folder / "synthetic.json").write_text(json.dumps(about))
    return folder


DEEPER = {"smic": "SMIC_all_raw/HS", "casme2": "CASME2_RAW_selected", "samm": "SAMM"}


@pytest.mark.parametrize("database", list(DEEPER))
@pytest.mark.parametrize("how", ["itself", "deeper", "copied", "linked"])
def test_rendered_faces_are_never_taken_for_recorded_ones(
    rendered: Rendered, bare: Path, monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, object]], database: str, how: str
) -> None:
    """SMIC has no sheet: a link to the folder of its clips was all it took."""
    folder = rendered.root / database
    if how == "deeper":
        folder = folder / DEEPER[database]
    if how == "copied":
        (bare / "real").mkdir()
        shutil.copy(folder / "synthetic.json", bare / "real")
        folder = bare / "real"
    if how == "linked":
        (bare / "real").symlink_to(folder / DEEPER[database])
        folder = bare / "real"
    monkeypatch.setenv(variable(database), str(folder))
    with pytest.raises(UserError, match=f"this {database} is rendered, not recorded") as caught:
        load.ready(Data(database, source="frames"), "megc3")
    assert caught.value.where == str(folder)
    assert "--source synthetic" in caught.value.remedy
    assert asked == []


def test_a_damaged_mark_is_no_leave_to_go_on(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mark(bare / "casme2") / "synthetic.json").write_text("{")
    monkeypatch.setenv(variable("casme2"), str(bare / "casme2"))
    with pytest.raises(UserError, match="mark of a rendered database cannot be read"):
        load.ready(Data("casme2", source="frames"), "megc3")


def test_rendered_clips_are_prepared_with_their_truth(
    rendered: Rendered, bare: Path, monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, object]]
) -> None:
    monkeypatch.setenv(variable("synthetic"), str(rendered.root))
    monkeypatch.setattr(schemes, "scheme", lambda name: dataclasses.replace(rendered.scheme, name=name))
    assert load.ready(Data("smic+samm", source="synthetic"), "megc3", workers=7) == (FOUND, FOUND)
    assert [call["source"] for call in asked] == ["synthetic", "synthetic"]
    assert [call["truths"] for call in asked] == [rendered.truths("smic"), rendered.truths("samm")]
    assert {call["workers"] for call in asked} == {7}


def test_recorded_clips_have_no_truth(
    rendered: Rendered, bare: Path, monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, object]]
) -> None:
    root = Path(shutil.copytree(rendered.root / "casme2", bare / "recorded"))
    (root / "synthetic.json").unlink()
    monkeypatch.setenv(variable("casme2"), str(root))
    monkeypatch.setattr(schemes, "scheme", lambda name: rendered.scheme)
    load.ready(Data("casme2", source="frames"), "megc3")
    assert not asked[0].get("truths")
    assert asked[0]["source"] == "frames"


@pytest.mark.parametrize(("scheme", "remedy"), [("megc3", "--size full"), ("megc3-mini", "--size mini")])
def test_a_scheme_that_was_not_rendered_is_told(
    rendered: Rendered, bare: Path, monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, object]], scheme: str, remedy: str
) -> None:
    monkeypatch.setenv(variable("synthetic"), str(rendered.root))
    total = len(schemes.scheme(scheme).select(("casme2",)))
    with pytest.raises(UserError, match=f"{total - 4} of {total} clips of {scheme} are not rendered") as caught:
        load.ready(Data("casme2", source="synthetic"), scheme)
    assert remedy in caught.value.remedy
    assert str(rendered.root) in caught.value.remedy
    assert asked == []


def test_a_rendering_that_was_stopped_is_not_used(bare: Path) -> None:
    mark(bare / "synthetic" / "smic", finished=False)
    assert places.rendered_size("smic") is None
    with pytest.raises(UserError, match="no rendered smic is set up") as caught:
        load.ready(Data("smic", source="synthetic"), "megc3-mini")
    assert "merbench synth" in caught.value.remedy


def test_the_most_telling_source_that_is_there_is_taken(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.set_up() is None
    mark(bare / "synthetic" / "samm")
    assert places.set_up() == "synthetic"
    set_in_store("published-flow", "smic", "megc3-mini")
    assert places.set_up() == "published-flow", "prepared is set up: a machine that only trains has nothing else"
    assert places.scheme_for("published-flow") == "megc3-mini"
    set_in_store("published-flow", "smic", "megc3")
    assert places.scheme_for("published-flow") == "megc3"
    monkeypatch.setenv(variable("casme2"), str(bare))
    assert places.set_up() == "frames"


def test_the_mini_rendering_is_good_for_the_mini_scheme(bare: Path) -> None:
    assert places.scheme_for("synthetic") == "megc3"
    mark(bare / "synthetic" / "samm")
    assert places.scheme_for("synthetic") == "megc3-mini"
    assert places.scheme_for("frames") == places.scheme_for("published-flow") == "megc3"
    shutil.rmtree(bare / "synthetic")
    mark(bare / "synthetic" / "samm", size="full")
    assert places.scheme_for("synthetic") == "megc3"


def test_all_databases_that_are_there_are_used(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no frames are set up"):
        places.complete("frames", "megc3")
    monkeypatch.setenv(variable("samm"), str(bare))
    assert places.complete("frames", "megc3") == "samm"
    set_in_store("frames", "casme2", "megc3")
    assert places.complete("frames", "megc3") == "casme2+samm"
    assert places.complete("frames", "megc3-mini") == "samm"


def test_one_scheme_is_not_another_whose_name_begins_alike(bare: Path) -> None:
    mini, whole = (set_in_store("frames", "smic", name) for name in ("megc3-mini", "megc3"))
    both = set_in_store("frames", "smic+casme2", "megc3")
    root = Path("prepared")
    assert store.find(root, "frames", "megc3", "smic") == [whole]
    assert store.find(root, "frames", "megc3-mini", "smic") == [mini]
    assert store.find(root, "frames", "megc3") == sorted([whole, both])
    assert store.find(root, "frames", "megc3", "casme2") == []
    assert store.find(root, "synthetic", "megc3") == []


def test_a_machine_without_frames_trains_from_the_store(bare: Path, asked: list[dict[str, object]]) -> None:
    mini, whole = (prepared_elsewhere(name, prepare.how(())) for name in ("megc3-mini", "megc3"))
    assert load.ready(Data("smic", source="frames"), "megc3") == (whole,)
    assert load.ready(Data("smic", source="frames"), "megc3-mini") == (mini,)
    with pytest.raises(UserError, match="casme2 has no folder yet") as caught:
        load.ready(Data("smic+casme2", source="frames"), "megc3")
    assert variable("casme2") in caught.value.where
    prepared_elsewhere("megc3", prepare.how(()), value=2)
    with pytest.raises(UserError, match="2 prepared sets of smic from frames, and no copy to choose by"):
        load.ready(Data("smic", source="frames"), "megc3")
    assert asked == []


def test_a_set_of_the_store_that_was_made_otherwise_is_not_taken(bare: Path, asked: list[dict[str, object]]) -> None:
    """A set with apices in the middle became a row that said motion."""
    middle, motion = (prepared_elsewhere("megc3", prepare.how(each), value) for value, each in enumerate(((), ("apex=flow",))))
    assert load.ready(Data("smic", source="frames"), "megc3") == (middle,)
    assert load.ready(Data("smic", source="frames", apex="flow"), "megc3") == (motion,)
    with pytest.raises(UserError, match=r"prepared with other settings .*asked for \(version=1 face=owner\)"):
        load.ready(Data("smic", source="frames", face="owner"), "megc3")
    prepared_elsewhere("megc3", prepare.how(("face=owner",)), clips=100)
    with pytest.raises(UserError, match="the prepared smic has other clips or classes than megc3"):
        load.ready(Data("smic", source="frames", face="owner"), "megc3")
    assert asked == []


def test_several_databases_are_one_set(bare: Path) -> None:
    parts = [set_in_store("frames", on, "megc3") for on in ("smic", "casme2", "samm")]
    found = store.load(*parts)
    assert found.on == "3db"
    assert len(found.clips) == 6
    assert found.shape("flow") == (2, 4, 4)
    assert [block.shape[0] for block in found.blocks("flow", size=1)] == [1] * 6
    assert found.fingerprint != store.load(*parts[:2]).fingerprint
    assert found.fingerprint == store.load(*parts).fingerprint


def test_unknown_sources_are_told_apart_from_databases() -> None:
    with pytest.raises(UserError, match="casme2 is a database, not a source") as caught:
        places.check_source("casme2")
    assert "--on casme2" in caught.value.remedy
    with pytest.raises(UserError, match="there is no data source 'frame'") as caught:
        places.check_source("frame")
    assert "frames" in caught.value.remedy
