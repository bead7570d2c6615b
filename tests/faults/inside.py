"""Several steps in one process, in a namespace where file systems may be mounted: real ones, really full and really read-only.

Reads the steps from standard input: lists of words, the first of which is ``merbench``, or a program that must succeed. Writes what each
command said, and which files lay below the folder of results afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

from merbench.cli import main
from tests.faults.few import shorten


def command(words: list[str]) -> int:
    """Run a command of merbench and return its exit code."""
    sys.argv = words
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def listing(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return inode, time of change and hash of every file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[str(path)] = (path.stat().st_ino, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


if __name__ == "__main__":
    shorten()
    folder, *steps = json.load(sys.stdin)
    answers = []
    for step in steps:
        if step[0] != "merbench":
            subprocess.run(step, check=True)
            continue
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command(step)
        answers.append({"code": code, "out": out.getvalue(), "err": err.getvalue(), "files": listing(Path(folder))})
    sys.stdout.write(json.dumps(answers))
