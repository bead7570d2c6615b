"""Maps of held-out clips: by the weights of the fold that had not seen them, drawn over the apex; and what is told where there are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from merbench.data import overlays, prepare, protocol, schemes, store
from merbench.data.datamodule import held_out_clips
from merbench.data.overlays import Overlay, over
from merbench.data.prepared import Prepared, join
from merbench.data.serving import serve
from merbench.engine import fold as engine
from merbench.engine import maps
from merbench.results import Run
from merbench.sample import Clip
from merbench.weights import of_fold, put_into
from tests.conftest import Cli
from tests.hostile import refused

WORDS = ("--source", "synthetic", "--on", "smic", "--scheme", "megc3", "--preset", "quick", "--workers", "1", "training.epochs=1")


@pytest.fixture
def stored(here: Path, small_faces: Prepared, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A working folder with a prepared set of six people."""
    for name in ("SYNTHETIC", "SMIC"):
        monkeypatch.delenv(f"MERBENCH_{name}", raising=False)
    labels = {clip.key: int(label) for clip, label in zip(small_faces.clips, small_faces.labels, strict=True)}
    few = schemes.Scheme("megc3", small_faces.classes, small_faces.clips, labels, "these tests")
    monkeypatch.setattr(schemes, "listed_part", lambda *_: few)
    monkeypatch.setattr(schemes, "scheme", lambda *_: few)
    return store.load(store.save(small_faces, how=prepare.how(())))


def the_run() -> Run:
    (path,) = Path("runs").rglob("request.yaml")
    return Run(path.parent)


def test_maps_are_drawn_of_clips_that_the_weights_had_not_seen(stored: Prepared, cli: Cli) -> None:
    answer = cli("bench", "micro_attention", *WORDS, "--save-weights", "training.batch=6", "method.size=32")
    assert answer.code == 0, answer.err
    run = the_run()
    before = run.digest()
    rows = maps.overlays(run, 8)
    assert [row.caption[0] for row in rows] == sorted(row.caption[0] for row in rows)
    people = [row.caption[0].rpartition("/")[0] for row in rows]
    assert set(people) == {clip.subject for clip in stored.clips}, "of everybody one, before anybody's second"
    folds = {fold.held_out: fold for fold in protocol.loso(stored.clips)}
    everything = None
    for row, person in zip(rows, people, strict=True):
        method = engine.build(run.request, 3)
        everything = everything or serve(stored, method.inputs)
        put_into(method, of_fold(run, f"{person.replace('/', '--')}--s0"), run.path)
        held_out = held_out_clips(everything, folds[person])
        keys = [stored.clips[index].key for index in folds[person].test]
        place = keys.index(row.caption[0])
        with torch.no_grad():
            expected = method.eval().maps(held_out)
        assert list(row.maps) == [f"unit {number}" for number in (1, 2, 3, 4)]
        for name, found in row.maps.items():
            assert np.allclose(found, expected[name][place].numpy(), atol=1e-5)
        assert np.array_equal(row.apex, stored.arrays["apex"][folds[person].test[place]])
        likely = method.probabilities(held_out)[place]
        assert row.caption[2] == f"taken for {stored.classes[int(likely.argmax())]} ({likely.max():.2f})"
    answer = cli("maps", run.path.name[:6], "--sheet", "maps.png", "--clips", "3")
    assert answer.code == 0, answer.err
    assert "3 held-out clips of 3 people are drawn in maps.png: it shows faces" in answer.out
    image = cv2.imread("maps.png")
    assert image is not None
    assert image.shape[0] == overlays.HEAD + 3 * 232
    assert run.digest() == before, "looking changes nothing"
    answer = cli(
        "bench", "micro_attention", *WORDS, "--save-weights", "training.batch=6", "method.size=32", "method.attention=false", "--runs", "b"
    )
    refused(cli("maps", "micro", "--runs", "b", "--sheet", "m.png"), file="b", place="there is no run", remedy="name one by its key")
    (plain,) = Path("b").rglob("request.yaml")
    refused(cli("maps", str(plain.parent), "--sheet", "m.png"), file="smic/s00", place="no maps", remedy="of the whole method")


def test_what_cannot_be_drawn_says_what_to_do(stored: Prepared, cli: Cli) -> None:
    assert cli("bench", "micro_attention", *WORDS, "training.batch=6", "method.size=32").code == 0
    run = the_run()
    refused(cli("maps", str(run.path), "--sheet", "m.png"), file=".pt", place="no weights of fold", remedy="--save-weights")
    refused(cli("maps", str(run.path), "--sheet", "away/m.png"), file="away", place="cannot be drawn there", remedy="--sheet")
    assert cli("bench", "majority", *WORDS[:-1], "--runs", "other").code == 0
    (other,) = Path("other").rglob("request.yaml")
    refused(cli("maps", str(other.parent), "--sheet", "m.png"), file="majority", place="draws no maps", remedy="micro_attention")
    shutil.rmtree("prepared")
    refused(cli("maps", str(run.path), "--sheet", "m.png"), file="merbench.yaml", place="no rendered smic", remedy="merbench synth")
    assert not Path("m.png").exists()


def test_of_two_databases_the_right_rows_are_taken(small_faces: Prepared) -> None:
    clips = tuple(Clip("samm", f"samm/{clip.subject[-3:]}", clip.name) for clip in small_faces.clips)
    both = join(
        [
            small_faces,
            Prepared(
                **{
                    **vars(small_faces),
                    "on": "samm",
                    "clips": clips,
                    "arrays": {**small_faces.arrays, "apex": 255 - small_faces.arrays["apex"]},
                }
            ),
        ],
        "smic+samm",
    )
    few = maps._few(both, [2, 20])
    assert [clip.key for clip in few.clips] == ["smic/s00/c2", "samm/s00/c2"]
    assert np.array_equal(few.arrays["apex"][1], 255 - few.arrays["apex"][0])
    assert few.labels.tolist() == [small_faces.labels[2]] * 2


def test_a_map_lies_where_it_is_high() -> None:
    apex = np.full((3, 60, 80), 100, np.uint8)
    weight = np.zeros((3, 4), np.float32)
    weight[0, 3] = 0.2  # upper right
    drawn = over(apex, weight)
    assert drawn.shape == (60, 80, 3)
    redness = drawn[..., 0].astype(int) - drawn[..., 1]
    assert int(np.argwhere(redness == redness.max())[:, 0].max()) <= 10
    assert redness[5, 75] > 80
    assert not redness[40:, :40].any()
    assert (drawn[50, 5] == 100).all(), "clear where it is lowest"
    assert (over(apex, np.full((3, 4), 0.5, np.float32)) == 100).all(), "alike everywhere, nothing stands out"


@pytest.mark.parametrize("rows", [0, 2])
def test_unlike_rows_are_no_sheet(tmp_path: Path, rows: int) -> None:
    made = [Overlay(np.zeros((3, 8, 8), np.uint8), {f"unit {index}": np.zeros((2, 2), np.float32)}, ("a/b/c",)) for index in range(rows)]
    with pytest.raises(ValueError, match="of the same maps"):
        overlays.sheet(made, tmp_path / "a.png")
