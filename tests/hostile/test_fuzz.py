"""Whatever is read either works or is one UserError; any other exception is a defect.

The short profile is the same in every run; ``make torture`` tries many more.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merbench import guard
from merbench.board import naming, rows
from merbench.config import Data, load_request
from merbench.data import copies, frames, manifest, sheets, store
from merbench.data.pieces import Piece, stored
from merbench.data.synthetic import marker
from merbench.errors import UserError
from merbench.foldfile import read_fold, read_metadata
from merbench.presets import resolve
from merbench.results import Run, runs_in
from merbench.settings import SETTINGS, data_path, remember_data_path
from tests.hostile.conftest import HEADER, ROWS, write_sheet
from tests.hostile.test_images import BMP, JPEG, PNG
from tests.test_config import Example

SHORT, LONG = settings.get_profile("hostile"), settings.get_profile("torture")

BITS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"\0", b"\xff", b"${oc.env:HOME}", b"&a [*a]", b"!!python/name:os", b"9" * 400, b"[" * 100, b"../..", b"\n", b": ", b"nan"]
    ),
)
EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 30), BITS), min_size=1, max_size=4)
TEXT = st.text(st.sampled_from("abdeilmnrstx:-[]{}#&*!|>'\"%@`,?=.0159 \n\t\0\u0661${}"), max_size=60)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6)


def edited(raw: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Return a file with pieces of it replaced."""
    for place, length, piece in edits:
        at = place % (len(raw) + 1)
        raw = raw[:at] + piece + raw[at + length :]
    return raw


def answered(act: Callable[[], object]) -> None:
    """Do it: whatever comes of it, it is a result or a UserError that says something."""
    said = "nothing"
    try:
        act()
    except UserError as error:
        said = str(error)
    assert said
    assert all(sign.isprintable() or sign == "\n" for sign in said)


Test = Callable[..., None]


def fuzzed(**given_these: st.SearchStrategy[Any]) -> Callable[[Test], Test]:
    """Make two tests of a property: one with few examples, the same each time, and one with many for ``make torture``."""

    def make(test: Test) -> Test:
        globals()[f"test_{test.__name__}"] = SHORT(given(**given_these)(test))
        globals()[f"test_torture_{test.__name__}"] = pytest.mark.torture(LONG(given(**given_these)(test)))
        return test

    return make


@pytest.fixture(scope="module")
def folder() -> Any:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name, contextlib.chdir(name):
        yield Path(name)


@fuzzed(
    content=st.one_of(
        TEXT.map(str.encode), TREES.map(lambda tree: json.dumps(tree).encode()), EDITS.map(lambda e: edited(b"# c\ndata:\n  smic: /a\n", e))
    )
)
def settings_file(folder: Path, content: bytes) -> None:
    SETTINGS.write_bytes(content)
    answered(lambda: data_path("smic"))
    answered(lambda: remember_data_path("samm", Path("/b")))
    SETTINGS.unlink()


@fuzzed(content=st.one_of(st.binary(max_size=80), TEXT.map(str.encode)))
def any_yaml(folder: Path, content: bytes) -> None:
    with contextlib.suppress(ValueError):
        guard.parse_table(content)


NAMED = st.sampled_from(
    ["training.epochs", "training.lr", "training.order", "method.c", "method.widths", "method.mode", "method.on", "method", "x"]
)
VALUES = st.one_of(TEXT, SCALARS.map(str), TREES.map(lambda tree: json.dumps(tree)))


@fuzzed(overrides=st.lists(st.one_of(st.tuples(NAMED, VALUES).map("=".join), st.text(max_size=20)), max_size=3))
def override(folder: Path, overrides: list[str]) -> None:
    answered(lambda: resolve("example", Example, data=Data(), overrides=overrides))


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False),
    st.text(max_size=12).filter(lambda t: t.isprintable()),
    st.dates(),
)


@fuzzed(row=st.integers(0, 3), column=st.integers(0, 5), cell=CELLS)
def sheet(folder: Path, row: int, column: int, cell: object) -> None:
    table = [list(each) for each in (HEADER, *ROWS)]
    table[row][column] = cell
    path = folder / "a.xlsx"
    write_sheet(path, [tuple(each) for each in table])

    def read() -> None:
        for each in sheets.read(path, HEADER):
            copies.entry("casme2", "sub01", "x", copies.Cells(*(each[name] for name in HEADER[2:])), None, "")  # raises nothing

    answered(read)


@pytest.fixture(scope="module")
def workbook(folder: Path) -> bytes:
    write_sheet(folder / "a.xlsx", [HEADER, *ROWS])
    return (folder / "a.xlsx").read_bytes()


@fuzzed(edits=EDITS)
def workbook_bytes(folder: Path, workbook: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    (folder / "a.xlsx").write_bytes(edited(workbook, edits))
    answered(lambda: sheets.read(folder / "a.xlsx", HEADER))


@fuzzed(whole=st.sampled_from([PNG, JPEG, BMP]), edits=EDITS)
def image_bytes(folder: Path, whole: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    (folder / "1.png").write_bytes(edited(whole, edits))
    answered(lambda: frames.read(folder / "1.png"))


@pytest.fixture(scope="module")
def run(folder: Path, finished: Path) -> Run:
    import shutil

    shutil.copytree(finished, folder / "runs")
    return Run(next((folder / "runs").glob("*/*/example/*")))


@fuzzed(edits=EDITS)
def fold_bytes(folder: Path, run: Run, edits: list[tuple[int, int, bytes]]) -> None:
    path = folder / "a.parquet"
    path.write_bytes(edited(run.fold_path("smic--s2--s0").read_bytes(), edits))
    answered(lambda: read_metadata(path))
    answered(lambda: read_fold(path))


@fuzzed(name=st.sampled_from(["request.yaml", "provenance.json"]), edits=EDITS)
def run_folder(folder: Path, run: Run, name: str, edits: list[tuple[int, int, bytes]]) -> None:
    path = run.path / name
    before = path.read_bytes()
    path.write_bytes(edited(before, edits))
    try:
        answered(lambda: load_request(run.path / "request.yaml"))
        answered(lambda: run.provenance)
        answered(run.described)
        if path.read_bytes() != before:
            answered(lambda: rows.row_of(run) if len(edits) == 1 else None)
    finally:
        path.write_bytes(before)


@fuzzed(
    key=st.sampled_from(["folds", "clips", "classes", "data", "costs", "failed", "environment", "results_versions", "parameters"]),
    value=TREES,
)
def provenance(folder: Path, run: Run, key: str, value: object) -> None:
    path = run.path / "provenance.json"
    before = path.read_bytes()
    path.write_text(json.dumps({**json.loads(before), key: value}))
    try:
        answered(run.described)
    finally:
        path.write_bytes(before)


@fuzzed(edits=EDITS)
def clip_list(folder: Path, edits: list[tuple[int, int, bytes]]) -> None:
    (folder / "megc2019.csv").write_bytes(
        edited(b"database,subject,clip,class\nsmic,s01,s01_ne_01,negative\nsamm,006,006_1_2,positive\n", edits)
    )
    manifest.megc2019.cache_clear()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest, "shipped", lambda _: folder)
        answered(manifest.megc2019)
    manifest.megc2019.cache_clear()


@fuzzed(name=st.text(max_size=300))
def name_of_a_run(folder: Path, run: Run, name: str) -> None:
    with contextlib.suppress(OSError):  # too long: the command line names the path, see test_paths
        answered(lambda: naming.find(folder / "runs", name))
    assert len(runs_in(folder / "runs")) == 2


@fuzzed(edits=EDITS)
def mark(folder: Path, edits: list[tuple[int, int, bytes]]) -> None:
    about = {"size": "mini", "seed": 0, "renderer": 1, "all_frames": False, "clips": 1, "finished": True, "parts": {}}
    (folder / "synthetic.json").write_bytes(edited(json.dumps(about).encode(), edits))
    answered(lambda: marker.read(folder))


@fuzzed(edits=EDITS)
def clip_archive(folder: Path, edits: list[tuple[int, int, bytes]]) -> None:
    import numpy as np

    made = io.BytesIO()
    np.savez(made, onset=np.zeros((3, 4, 4), np.uint8), times=np.zeros(8, np.float32))
    (folder / "clip.npz").write_bytes(edited(made.getvalue(), edits))
    answered(lambda: stored(Piece("clip", Path(), Path(), (), (), None, folder / "clip.npz")))


INDEX = {
    "on": "smic", "source": "frames", "scheme": "megc3", "inputs": "", "annotations": "", "fingerprint": "", "classes": ["a", "b"], "labels": [0],
    "clips": [{"database": "smic", "subject": "smic/s01", "name": "a", "onset": 1, "apex": 2, "offset": 3, "emotion": None, "flags": []}],
    "units": "pixels", "arrays": [], "touched": {},
}  # fmt: skip


@fuzzed(key=st.sampled_from(sorted(INDEX)), value=TREES, edits=st.one_of(st.just([]), EDITS))
def index(folder: Path, key: str, value: object, edits: list[tuple[int, int, bytes]]) -> None:
    (folder / "index.json").write_bytes(edited(json.dumps({**INDEX, key: value} if not edits else INDEX).encode(), edits))
    answered(lambda: store.load(folder))
