"""Private by default: nothing that a run writes or says holds a picture, or says whose machine it was."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import getpass
import io
import re
import socket
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from merbench.data import schemes
from merbench.settings import variable
from tests.conftest import Answer, Cli, Rendered

RUN = 64
"""So many bytes of a picture in a row are a leak."""

MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"\x93NUMPY", b"PK\x03\x04")
STEP = 16


def forms(array: NDArray[Any]) -> Iterator[bytes]:
    """Yield an array as it may stand somewhere: its own bytes, other orders of its axes, other kinds of number, scaled or not."""
    for turned in (array, np.moveaxis(array, -3, -1)) if array.ndim >= 3 else (array,):
        kinds: tuple[Any, ...] = (np.uint8, np.float16, np.float32, np.float64)
        for kind in kinds:
            with np.errstate(all="ignore"):
                yield np.ascontiguousarray(turned.astype(kind)).tobytes()
                if array.dtype == np.uint8 and kind != np.uint8:
                    yield np.ascontiguousarray(turned.astype(kind) / kind(255.0)).tobytes()


def telling(raw: bytes) -> bool:
    """Return whether bytes are those of a picture rather than of any even field."""
    return len(set(raw)) > 12


def prints(pictures: list[bytes]) -> set[bytes]:
    """Return a set of short pieces of all pictures: every run of `RUN` bytes of a picture holds one that begins at a multiple of `STEP`."""
    return {raw[i : i + 32] for raw in pictures for i in range(0, len(raw) - 32, STEP) if telling(raw[i : i + 32])}


def unpacked(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file and what is packed in it: columns, archives, base64."""
    yield name, raw
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(raw))
        yield f"{name}: metadata", b"".join(table.schema.metadata.values())
        for column in table.column_names:
            yield (
                f"{name}: {column}",
                b"".join(np.ascontiguousarray(table[column].to_numpy()).tobytes() for _ in [0]) if column != "clip" else b"",
            )
    if zipfile.is_zipfile(io.BytesIO(raw)):
        archive = zipfile.ZipFile(io.BytesIO(raw))
        yield from ((f"{name}: {inner}", archive.read(inner)) for inner in archive.namelist())
    for word in raw.replace(b'"', b" ").split():
        if len(word) >= RUN:
            try:
                yield f"{name}: base64", base64.b64decode(word, validate=True)
            except binascii.Error:
                continue


def numbers(raw: bytes) -> bytes:
    """Return the numbers that stand in a text, as float32: a frame may be written out as a list."""
    words = raw.replace(b",", b" ").replace(b"[", b" ").replace(b"]", b" ").split()
    found = []
    for word in words:
        try:
            found.append(float(word))
        except ValueError:
            continue
    with np.errstate(all="ignore"):
        return np.array(found, np.float32).tobytes()


def leaks(files: dict[str, bytes], pieces: set[bytes]) -> set[str]:
    """Return where a picture stands, in any form."""
    found = set()
    for name, whole in files.items():
        for inner, raw in unpacked(name, whole):
            if any(sign in raw for sign in MAGIC) and not name.endswith(".pt"):  # a weights file is an archive
                found.add(inner)
            for text in (raw, numbers(raw)):
                if any(text[i : i + 32] in pieces for i in range(len(text) - 31)):
                    found.add(inner)
    return found


def written(root: Path, said: list[Answer]) -> dict[str, bytes]:
    """Return everything that a run left or said, outside of the prepared data."""
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    kept = {name: raw for name, raw in files.items() if name.split("/")[0] not in ("prepared", "synthetic") and not name.endswith(".py")}
    return {**kept, **{f"said {index}": (answer.out + answer.err).encode() for index, answer in enumerate(said)}}


def boards(cli: Cli) -> list[Answer]:
    answers = [cli("leaderboard"), *(cli("leaderboard", "--format", each, "--out", f"board.{each}") for each in ("md", "csv", "json"))]
    return [*answers, *(cli("leaderboard", "--format", each) for each in ("md", "csv", "json")), cli("methods"), cli("datasets")]


def pictures_of(prepared: Path) -> list[bytes]:
    arrays = [np.load(path) for path in prepared.rglob("*.npy") if path.stem not in ("times", "alignment")]
    return [
        form for array in arrays for clip in array for form in forms(clip[..., ::4, :] if clip.ndim > 2 and clip.shape[-1] > 100 else clip)
    ]


def nobody(files: dict[str, bytes], root: Path) -> None:
    """No path, user or host; a user whose name is a word of its own is looked for where a path would hold it."""
    for name, raw in files.items():
        if name.startswith("said"):
            continue  # the terminal is the user's own
        for secret in (str(root), str(Path.home()) + "/", f"/{getpass.getuser()}/"):
            assert secret.encode() not in raw, (name, secret)
        host = re.escape(socket.gethostname().encode())
        assert not re.search(rb"[\x20-\x7e]{8}\b" + host + rb"\b|^" + host + rb"\b", raw), (name, host)


def test_a_run_on_published_flow(with_flow: Path, cli: Cli) -> None:
    said = [cli("bench", "ststnet", "--on", "smic", "training.epochs=2", "--workers", "2"), *boards(cli)]
    assert said[0].code == 0, said[0].err
    files = written(with_flow, said)
    assert sum(name.endswith(".parquet") for name in files) == 16
    assert leaks(files, prints(pictures_of(Path("prepared")))) == set()
    nobody(files, with_flow)


def test_a_run_on_frames(rendered: Rendered, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable("synthetic"), str(rendered.root))
    monkeypatch.setattr(schemes, "scheme", lambda name: dataclasses.replace(rendered.scheme, name=name))
    from merbench.data import places

    monkeypatch.setattr(places, "rendered_size", lambda database, folder=None: "mini")
    said = [
        cli("bench", "frl_dgt", "--source", "synthetic", "--on", "casme2", "--preset", "quick", "training.epochs=1", "training.batch=2",
            "method.warm_up=1", "--workers", "1", "--save-weights"),
        *boards(cli),
    ]  # fmt: skip
    assert said[0].code == 0, said[0].err
    files = written(here, said)
    assert sum(name.endswith(".pt") for name in files) == 2
    raw = [form for path in rendered.root.rglob("casme2/**/*.jpg") for form in [path.read_bytes()]]
    assert leaks(files, prints([*pictures_of(Path("prepared")), *raw])) == set()
    nobody(files, here)


OWN = """
import base64
import numpy as np
from merbench.method import METHODS, Card, Method
from merbench.batch import Flow, Inputs
from torch import nn
import torch

@METHODS.add("{name}")
class Own(Method):
    card = Card(title="", year=2026, paper="", network="paper", training="paper")
    inputs = Inputs(flow=Flow(size=28, strain=True))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(3 * 28 * 28, classes)
        self.register_buffer("kept", torch.zeros(28, 28))

    def logits(self, batch):
        if len(batch["flow"]) > 2:
            {fails}
        return self.head(batch["flow"].flatten(1))

    def loss(self, outputs, batch):
        total = super().loss(outputs, batch)["total"]
        return {{"total": total, **({loss})}}

    def measures(self, batch):
        return {measures}
"""
PIXELS = "batch['flow'][0, 0, 14]"
PLANTS = {
    "in_the_curve": {"loss": "{f'pixel {i:02d}': p for i, p in enumerate(" + PIXELS + ")}"},
    "in_the_measures": {"measures": "{f'pixel {i:02d}': batch['flow'][:, 0, 14, i] for i in range(28)}"},
    "in_a_failure": {"fails": "raise_(base64.b64encode((batch['flow'][0].numpy() * 255).round().astype('u1').tobytes()).decode())"},
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_leak_is_found(with_flow: Path, cli: Cli, name: str) -> None:
    parts = {"loss": "{}", "measures": "{}", "fails": "False", **PLANTS[name]}
    text = OWN.format(name=name, **parts) + "\ndef raise_(text):\n    raise ValueError(text)\n"
    Path(f"{name}.py").write_text(text)
    said = cli("bench", f"./{name}.py", "--on", "smic", "training.epochs=1", "training.batch=200", "--workers", "1")
    assert said.code == (1 if name == "in_a_failure" else 0), said.err
    pieces = prints(pictures_of(Path("prepared"))) | rows_of_pixels(Path("prepared"))
    assert leaks(written(with_flow, [said]), pieces), "the search does not see what was planted"


def rows_of_pixels(prepared: Path) -> set[bytes]:
    """Return eight neighbours of the middle row and eight clips' same pixel of every image, as the served numbers that a method sees."""
    (path,) = prepared.rglob("flow.npy")
    flow = np.load(path)[:, 0, 14].astype(np.float32) / np.float32(255)
    return {row[i : i + 8].tobytes() for way in (flow, flow.T) for row in way for i in range(len(row) - 7)}


def test_the_search_sees_every_form() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    pieces = prints(list(forms(picture)))
    planted = {
        "raw": b"x" * 7 + picture.tobytes()[100 : 100 + RUN],
        "scaled": (picture / np.float32(255)).astype(np.float32).tobytes(),
        "turned": np.ascontiguousarray(np.moveaxis(picture, 0, -1)).tobytes(),
        "base64": b'{"a": "' + base64.b64encode(picture.tobytes()) + b'"}',
        "listed": str((picture[0].ravel() / np.float32(255)).tolist()).encode(),
        "png": b"....\x89PNG",
    }
    for name, raw in planted.items():
        assert leaks({name: raw}, pieces), name
    assert leaks({"clean": b"no picture at all, " * 50, "numbers": str(list(range(200))).encode()}, pieces) == set()


def test_what_is_private_lies_outside_of_runs_and_of_the_repository(with_flow: Path) -> None:
    root = Path(__file__).parents[2]
    for folder in ("prepared/", "synthetic/", "runs/", "merbench.yaml"):
        done = subprocess.run(["git", "check-ignore", folder], cwd=root, capture_output=True, text=True)
        assert done.stdout.strip() == folder, "it would be committed"
