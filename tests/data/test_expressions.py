"""Labelled pictures of expressions: what is read of folders, what is refused or left out, and how they are made ready and learnt from."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from merbench.batch import Flow, Frame, Inputs
from merbench.data import macro, places, protocol, store
from merbench.data.sources import expressions
from merbench.data.synthetic import expressions as rendering
from merbench.data.synthetic import marker
from merbench.errors import UserError
from merbench.sample import EMOTIONS, Fold
from merbench.settings import variable
from tests.conftest import Cli, once

FELT = ("happiness", "surprise")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rendered pictures of two emotions by three people, two of them named. Tests do not write into it."""

    def make(root: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rendering, "PEOPLE", {"mini": 3})
            patch.setattr(rendering, "EMOTIONS", FELT)
            assert list(rendering.write(root, "mini", workers=1))[-1].done == 6

    return once(tmp_path_factory, "expressions", make)


@pytest.fixture
def own(bare: Path, pictures: Path) -> Path:
    """The same pictures as somebody's own."""
    root = Path(shutil.copytree(pictures / "expressions", bare / "own"))
    (root / "synthetic.json").unlink()
    return root


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"not looked into yet")


def test_folders_are_emotions_in_common_spellings(tmp_path: Path) -> None:
    put(
        tmp_path,
        "Happy/a.png",
        "SAD/b.JPG",
        "surprised/anna/c.bmp",
        "surprised/ben/c.bmp",
        "angry/d.jpeg",
        "angry/.hidden.png",
        "fear/notes.txt",
    )
    found = expressions.survey(tmp_path)
    assert [(each.clip.key, each.clip.emotion) for each in found.footage] == [
        ("expressions/unknown/happiness-a.png", "happiness"),
        ("expressions/anna/surprise-c.bmp", "surprise"),
        ("expressions/ben/surprise-c.bmp", "surprise"),
        ("expressions/unknown/anger-d.jpeg", "anger"),
        ("expressions/unknown/sadness-b.JPG", "sadness"),
    ]
    for each in found.footage:
        assert each.files == (each.onset,) == (each.apex,), "one frame"
        assert set(each.times) == {0.0}
    assert set(expressions.WORDS.values()) == set(EMOTIONS)
    made = expressions.scheme(found.footage, "seven-emotions")
    assert {EMOTIONS[made.labels[each.clip.key]] for each in found.footage} == {"happiness", "surprise", "anger", "sadness"}


def test_who_is_not_known_is_told(tmp_path: Path) -> None:
    put(tmp_path, "happy/a.png", "happy/anna/b.png")
    nobody, anna = expressions.survey(tmp_path).footage
    assert expressions.UNKNOWN in nobody.clip.flags
    assert expressions.UNKNOWN not in anna.clip.flags
    assert "1 named persons; of whom is not known of 1" in expressions.survey(tmp_path).told


def test_what_is_no_emotion_is_left_out_and_named(tmp_path: Path) -> None:
    put(tmp_path, "happy/a.png", "neutral/b.png", "neutral/x/c.png", "happy/anna/more/d.png", "stray.png")
    found = expressions.survey(tmp_path)
    assert len(found.footage) == 1
    assert found.left_out == {"neutral": 2, "happy/anna/more": 1}
    assert "left out: neutral (2), happy/anna/more (1)" in found.told


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no pictures of emotions"),
        (("neutral/a.png",), "no pictures of emotions"),
        (("happy/a.txt",), "no pictures of emotions"),
        (("happy/a.png", "Happiness/b.png"), "are one emotion"),
        (("happy/a[1].png",), "characters that no name may have"),
        (("happy/" + "x" * 195 + ".png",), "too long"),
    ],
)
def test_what_cannot_be_read_is_one_message(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    put(tmp_path, *names)
    with pytest.raises(UserError, match=message) as caught:
        expressions.survey(tmp_path)
    assert caught.value.remedy


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/a.png", "data/happy/b.png")
    (tmp_path / "data" / "happy" / "c.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    with pytest.raises(UserError, match="leads out"):
        expressions.survey(tmp_path / "data")


def test_persons_of_the_pictures_obey_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where persons.csv says whose people they are, no fold learns from the pictures of the person it holds out."""
    from merbench.data import manifest

    put(tmp_path, "happy/sub01/a.png", "sad/sub01/b.png", "happy/sub02/c.png", "happy/d.png")
    clips = [each.clip for each in expressions.survey(tmp_path).footage]
    fold = Fold("casme2/sub01", (), ())
    assert len(protocol.pretraining(clips, [fold])[0].train) == 4, "a name alone says nothing"
    monkeypatch.setattr(manifest, "_people", lambda: {"expressions": "casme2"})
    assert {clips[index].subject for index in protocol.pretraining(clips, [fold])[0].train} == {"expressions/sub02", "expressions/unknown"}


def test_from_a_folder_to_prepared_arrays(own: Path, cli: Cli) -> None:
    put(own, "neutral/a.png")
    answer = cli("data", "set", "expressions", str(own))
    assert answer.code == 0, answer.err
    assert "6 pictures: happiness 3, surprise 3; of 2 named persons; of whom is not known of 2; left out: neutral (1)" in answer.out
    assert "next: merbench prepare expressions" in answer.out
    assert "6 pictures" in cli("datasets").out
    answer = cli("prepare", "expressions", "--workers", "1")
    assert answer.code == 0, answer.err
    assert "persons of the expression pictures are not known to be others than the held-out (2 clips)" in answer.out
    prepared = store.load(macro.ready(places.FRAMES))
    assert (prepared.on, len(prepared.clips), prepared.classes) == ("expressions", 6, EMOTIONS)
    assert Counter(prepared.labels.tolist()) == {0: 3, 1: 3}
    assert np.array_equal(prepared.arrays["onset"], prepared.arrays["apex"])
    assert not prepared.arrays["flow"].any()
    assert prepared.arrays["apex"].std() > 20, "faces"
    assert cli("prepare", "expressions", "--scheme", "megc3").code == 2


def test_a_picture_without_a_face_borrows_nobodys(own: Path, cli: Cli) -> None:
    assert cv2.imwrite(str(own / "happiness" / "wall.png"), np.full((300, 300, 3), 127, np.uint8))
    assert cli("data", "set", "expressions", str(own)).code == 0
    answer = cli("prepare", "expressions", "--workers", "1")
    assert answer.code == 2
    assert "no face is found in 1 clips: expressions/unknown/happiness-wall.png" in answer.err


def test_rendered_pictures_are_not_taken_for_recorded_ones(pictures: Path, bare: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is rendered, not recorded" in cli("data", "set", "expressions", str(pictures / "expressions")).err
    assert macro.place(places.SYNTHETIC, kind="expressions") is None
    monkeypatch.setenv(variable("synthetic"), str(pictures))
    assert macro.place(places.SYNTHETIC, kind="expressions") == pictures / "expressions"
    assert macro.set_up("expressions") == places.SYNTHETIC


def test_which_is_learnt_from_is_never_an_accident(own: Path, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macro, "describes", lambda folder: folder.name == "whole")
    made: list[str] = []

    def prepare(source: str, scheme: object, footage: tuple[object, ...], **others: object) -> Path:
        made.append(str(others.get("lost", "borrow")))
        return Path("made")

    monkeypatch.setattr(macro, "prepare", prepare)
    monkeypatch.setattr(macro, "real", lambda path: ())
    with pytest.raises(UserError, match="casme3 has no folder yet"):
        macro.ready(places.FRAMES)
    monkeypatch.setenv(variable("casme3"), str(bare / "micro"))
    monkeypatch.setenv(variable("expressions"), str(own))
    macro.ready(places.FRAMES)
    assert made == ["refuse"], "a copy of CAS(ME)^3 with micro-expressions alone is nothing to choose"
    monkeypatch.setenv(variable("casme3"), str(bare / "whole"))
    with pytest.raises(UserError, match="macro-expression clips and expression pictures") as caught:
        macro.ready(places.FRAMES)
    assert "--macro casme3" in caught.value.remedy
    macro.ready(places.FRAMES, which="casme3")
    macro.ready(places.FRAMES, which="expressions")
    assert made == ["refuse", "borrow", "refuse"]
    monkeypatch.delenv(variable("expressions"))
    with pytest.raises(UserError, match="no expression pictures are set up"):
        macro.ready(places.FRAMES, which="expressions")
    with pytest.raises(UserError, match="published-flow has no macro"):
        macro.ready("published-flow")


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        (Inputs(flow=Flow(28)), "flow"),
        (Inputs(flow=Flow(28), frame=Frame(28)), "flow"),
        (Inputs(frame=Frame(28, sequence=True)), "sequences of frames"),
        (Inputs(landmarks=True), "no frames"),
    ],
)
def test_who_reads_motion_is_refused(own: Path, inputs: Inputs, what: str) -> None:
    from merbench.data.prepared import Prepared

    still = Prepared("expressions", "frames", "seven-emotions", (), EMOTIONS, np.zeros(0, np.int64), {}, "pixels")
    with pytest.raises(UserError, match=f"the method reads {what}, and expression pictures are stills"):
        macro.check_still(still, inputs)
    macro.check_still(still, Inputs(frame=Frame(28), landmarks=True))
    macro.check_still(Prepared("casme3-macro", *("frames", "seven-emotions"), (), EMOTIONS, np.zeros(0, np.int64), {}, "pixels"), inputs)


def test_pictures_are_the_same_for_any_number_of_workers_and_go_on(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "PEOPLE", {"mini": 3})
    monkeypatch.setattr(rendering, "EMOTIONS", FELT[:1])
    states = rendering.write(tmp_path, "mini", workers=1)
    assert [next(states).done for _ in range(2)] == [0, 1]
    states.close()
    assert marker.read(tmp_path / "expressions") is not None
    assert [state.done for state in rendering.write(tmp_path, "mini", workers=2)] == [1, 2, 3]
    assert [state.done for state in rendering.write(tmp_path, "mini")] == [3]
    for path in (tmp_path / "expressions" / "happiness").rglob("*.jpg"):
        assert path.read_bytes() == (pictures / path.relative_to(tmp_path)).read_bytes()
    with pytest.raises(UserError, match="rendered with other settings"):
        list(rendering.write(tmp_path, "mini", seed=1))


def test_the_renderer_is_asked_for_pictures_by_name(bare: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "PEOPLE", {"mini": 1})
    monkeypatch.setattr(rendering, "EMOTIONS", FELT[:1])
    answer = cli("synth", "made", "--size", "mini", "--on", "expressions", "--workers", "1")
    assert answer.code == 0, answer.err
    assert "wrote 1 picture of 1 subject" in answer.out
    assert "nothing was missing: 1 pictures" in cli("synth", "made", "--size", "mini", "--on", "expressions").out
    assert [path.name for path in Path("made").iterdir() if path.is_dir()] == ["expressions"]
