"""Work over all cores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from merbench import processes
from merbench.errors import UserError


def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def refuse(number: int) -> int:
    if number == 3:
        raise UserError("three is no number", where="here", remedy="take another")
    return number


def end(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def linger(path: Path) -> None:
    path.with_suffix(".pid").write_text(str(os.getpid()))
    time.sleep(60)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_is_done_once_and_belongs_to_its_position(workers: int) -> None:
    found = dict(processes.each(double, list(range(9)), workers))
    assert {index: value for index, (value, _) in found.items()} == {index: 2 * index for index in range(9)}
    assert (os.getpid() in {pid for _, pid in found.values()}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_users_mistake_comes_home(workers: int) -> None:
    with pytest.raises(UserError, match="three is no number"):
        list(processes.each(refuse, list(range(6)), workers))


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(UserError, match="killed"):
        list(processes.each(end, list(range(6)), 2))


def test_no_items_no_processes() -> None:
    assert list(processes.each(double, [])) == []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys; sys.path.insert(0, 'tests'); from tests.test_processes import linger; from merbench import processes\n"
        f"list(processes.each(linger, [pathlib.Path({str(tmp_path)!r}) / str(i) for i in range(2)], 2))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[1])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, pids)), "a worker lives on"


ENDED_EARLY = """
import os
from multiprocessing import forkserver
from merbench import processes

if __name__ == "__main__":
    processes.context()
    for words in (b"", b"\\x80\\x04half"):
        listen, tell = forkserver.connect_to_new_process([])
        os.write(tell, words)
        os.close(tell)
        while os.read(listen, 64):
            pass
"""


def test_a_parent_that_went_away_while_a_worker_began_leaves_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(ENDED_EARLY)
    done = subprocess.run([sys.executable, tmp_path / "early.py"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
