"""Sizes and bombs: what is small on disk and asks for gigabytes. The peak memory of a process of its own stays below a bound."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hostile.conftest import Copy, Runs
from tests.hostile.test_images import chunk, png

BOUND_MIB = 420
"""Of the whole process: Python, the libraries of the verb (about 100 to 150 MiB), and what is read. No torch among them."""

PROBE = """
import sys
from merbench.cli import main
from merbench.data import pieces
sys.argv = ["merbench", *sys.argv[1:]]
code = 0
try:
    if sys.argv[1] == "npz":
        from pathlib import Path
        pieces.stored(pieces.Piece("clip", Path(), Path(), (), (), None, Path(sys.argv[2])))
    else:
        main()
except SystemExit as end:
    code = end.code
except pieces.UserError as error:
    print(error, file=sys.stderr)
    code = 2
high = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss begins with the parent's
print("PEAK", code, int(high.split()[1]) // 1024)
"""


def rewritten(copy: Copy, name: str, content: bytes) -> None:
    old, made = zipfile.ZipFile(io.BytesIO(copy.sheet.read_bytes())), io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, content if info.filename == name else old.read(info))
    copy.sheet.write_bytes(made.getvalue())


def rows_of(count: int, first: str = "") -> bytes:
    head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    return head + first.encode() + b"<row><c><v>1</v></c></row>" * count + b"</sheetData></worksheet>"


SHEET = "xl/worksheets/sheet1.xml"
BOMBS: dict[str, tuple[Callable[[Copy], object], str]] = {
    "a workbook of 256 MB of zeros": (lambda copy: rewritten(copy, SHEET, bytes(2**28)), "unpacked it has more than"),
    "a workbook of 100 MB of words": (lambda copy: rewritten(copy, "xl/styles.xml", b"<a>" * 2**25), "unpacked it has more than"),
    "150,000 rows": (lambda copy: rewritten(copy, SHEET, rows_of(150_000)), "rows"),
    "a cell at the far end": (
        lambda copy: rewritten(copy, SHEET, rows_of(1, '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')),
        "rows",
    ),
    "a PNG of 60,000 x 60,000": (lambda copy: copy.frame.write_bytes(png(60_000, 60_000, pixels=bytes(100))), "60,000 x 60,000"),
    "a PNG that unpacks to 800 MB": (lambda copy: copy.frame.write_bytes(inflated()), "damaged"),
    "a frame of 200 MB": (lambda copy: copy.frame.write_bytes(b"BM" + bytes(200 * 2**20)), "longer than"),
    "a mark of 200 MB": (lambda copy: (copy.root / "synthetic.json").write_bytes(b" " * 200 * 2**20), "longer than"),
}


def inflated() -> bytes:
    """A small picture whose stream goes on for 800 MB."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(2**24)) for _ in range(48)) + packer.flush()
    head = png()
    return head[: head.index(b"IDAT") - 4] + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def peak(*words: str, says: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, timeout=120)
    _, code, mib = next(line for line in done.stdout.splitlines() if line.startswith("PEAK")).split()
    assert says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert code == "2", done.stderr
    assert int(mib) < BOUND_MIB, f"{mib} MiB"


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_in_a_database(copy: Copy, name: str) -> None:
    make, says = BOMBS[name]
    make(copy)
    if "PNG" in name or "frame" in name:
        peak_of_a_frame(copy.frame, says)
    else:
        peak("data", "set", "casme2", str(copy.root), says=says)


def peak_of_a_frame(path: Path, says: str) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom merbench.data import frames\n"
        "try:\n    frames.read(Path(sys.argv[1]))\nexcept frames.UserError as error:\n    print(error)\n"
        "print('PEAK', next(int(line.split()[1]) // 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=120)
    assert says in done.stdout, done.stdout + done.stderr
    assert int(done.stdout.split()[-1]) < BOUND_MIB, done.stdout


def far(about: dict[bytes, bytes]) -> pa.Table:
    """Two million names of a kilobyte each, as one word and its repetitions."""
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2_000_000, np.int32)), ["x" * 1000])
    numbers = {name: pa.array(np.zeros(2_000_000), kind) for name, kind in (("epoch", pa.int32()), ("label", pa.int8()))}
    chances = {f"p_{name}": pa.array(np.zeros(2_000_000), pa.float32()) for name in ("negative", "positive", "surprise")}
    return pa.table({"clip": column, **numbers, **chances}).replace_schema_metadata(about)


FOLDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a fold of zeros, compressed": (
        lambda path: pq.write_table(pa.table({"clip": pa.array(np.zeros(50_000_000, np.int8))}), path, compression="zstd"),
        "rows",
    ),
    "a fold of few rows, compressed": (
        lambda path: pq.write_table(
            pa.table({"clip": ["x" * 2**28]}), path, compression="zstd", use_dictionary=False, write_statistics=False
        ),
        "compressed",
    ),
    "a fold of one long name": (
        lambda path: pq.write_table(far(pq.read_schema(path).metadata), path, compression="none"),
        "cannot be read",
    ),
    "a fold of 300 MB": (lambda path: path.write_bytes(bytes(300 * 2**20)), "longer than"),
}


@pytest.mark.parametrize("name", FOLDS)
def test_a_bomb_among_the_folds(runs: Runs, name: str) -> None:
    make, says = FOLDS[name]
    make(runs.run.fold_path("smic--s2--s0"))
    peak("compare", "example", "other", says=says)


@pytest.mark.parametrize("file", ["request.yaml", "provenance.json"])
@pytest.mark.parametrize("content", [b" " * 2**28, b"[" * 2**20, b'{"a":' * 2**19], ids=["blanks", "lists", "tables"])
def test_a_bomb_beside_the_folds(runs: Runs, file: str, content: bytes) -> None:
    (runs.run.path / file).write_bytes(content)
    peak("compare", str(runs.run.path), "other", says=f"{'request' if file == 'request.yaml' else 'provenance'} of a run cannot be read")


def test_a_bomb_among_the_clips(tmp_path: Path) -> None:
    path = tmp_path / "clip.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("onset.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (2**29,)})
        for _ in range(32):
            file.write(bytes(2**24))
    peak("npz", str(path), says="unpacked it has more than")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("onset.npy", header.getvalue())
    peak("npz", str(path), says="cannot be read")


def test_the_index_that_lies_about_an_array(with_flow: Path) -> None:
    """An array that says it is larger than its file is refused by the map, before a byte of it is asked for."""
    from merbench.data.store import _mapped

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    (with_flow / "flow.npy").write_bytes(header.getvalue() + struct.pack("<d", 1.0))
    with pytest.raises(ValueError, match="greater than file size"):
        _mapped(with_flow, "flow")
