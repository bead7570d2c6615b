"""What is noted beside offline sessions, without wandb."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from merbench.tracking.child import TOLD, Telling


def session(folder: Path, number: int, said: list[str]) -> Telling:
    """Return an offline session that has begun, in the place of wandb's own."""
    found = object.__new__(Telling)
    found._mode, found._folder, found._project = "offline", folder, "/p"
    found._here = folder / f"offline-run-{number}-id"
    found._here.mkdir(parents=True)
    found._run = SimpleNamespace(id="id")  # type: ignore[assignment]
    found._say = lambda text, _: said.append(text)
    found._told, found._step = found._before()
    found._known, found._ending = len(found._told), []
    return found


def tell(folder: Path, number: int, *blocks: str) -> str:
    """Tell some blocks, of which those that were told before are left out; return what is said."""
    said: list[str] = []
    telling = session(folder, number, said)
    telling._told += [block for block in blocks if block not in telling._told]
    telling._keep()
    return said[0]


def test_what_was_lost_is_told_anew(tmp_path: Path) -> None:
    """A later session named the blocks of earlier ones as its own: where an earlier one was damaged, nobody had them any more."""
    tell(tmp_path, 1, "a")
    tell(tmp_path, 2, "a", "b")
    assert json.loads((tmp_path / "offline-run-2-id" / TOLD).read_text())["told"] == ["b"]
    (tmp_path / "offline-run-1-id" / TOLD).write_text("{")
    assert session(tmp_path, 3, [])._told == ["b"]
    assert tell(tmp_path, 4, "a", "b").startswith("kept; to send it: wandb sync")
    assert json.loads((tmp_path / "offline-run-4-id" / TOLD).read_text())["told"] == ["a"]


def test_where_all_was_sent_no_command_is_told(tmp_path: Path) -> None:
    tell(tmp_path, 1, "a")
    (tmp_path / "offline-run-1-id" / "run-id.wandb.synced").touch()
    assert tell(tmp_path, 2, "a") == "nothing is new; all of it was sent"
    assert not (tmp_path / "offline-run-2-id").exists()
