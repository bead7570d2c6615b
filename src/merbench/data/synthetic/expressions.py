"""Rendered pictures of big expressions: the strongest frame of macro-expressions, in the layout of `data.sources.expressions`.

Nobody on them is anybody of the rendered databases. Two people have folders of their own; the others' pictures lie in the emotion's folder,
as pictures from elsewhere do.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from merbench import processes
from merbench.data.synthetic import layouts, marker
from merbench.data.synthetic.anatomy import person
from merbench.data.synthetic.performance import perform
from merbench.data.synthetic.render import render
from merbench.data.synthetic.script import Size
from merbench.data.synthetic.write import Written, alone, encoded, refusals
from merbench.sample import EMOTIONS
from merbench.streams import key_of

NAME = "expressions"
PEOPLE = {"mini": 4, "full": 40}
NAMED = 2
"""So many people have folders of their own."""
LENGTH, APEX = 30, 14
"""Frames of the expression that is acted, and which of them is the picture."""


@dataclass(frozen=True)
class _Task:
    root: Path
    emotion: str
    number: int
    seed: int

    @property
    def path(self) -> Path:
        """Return the picture's file."""
        name = f"{self.emotion}-{self.number:03d}.jpg"
        return self.root / PurePosixPath(NAME, self.emotion, *([f"p{self.number:03d}"] if self.number < NAMED else []), name)


def write(root: Path, size: Size, *, seed: int = 0, workers: int | None = None) -> Generator[Written]:
    """Write the pictures and yield how far it is, as `write.write` does for databases.

    Args:
        root: the folder of all rendered data; the pictures lie in ``expressions`` below it.
        size: people of ``mini`` or ``full``; each shows every emotion once.
        seed: another one gives other people.
        workers: processes; None for one per core. Any number writes the same bytes.

    Raises:
        UserError: a folder holds something else; the disk is full or refuses; another writer is at work.
    """
    settings = marker.Settings(size, seed, all_frames=False)
    tasks = [_Task(root, emotion, number, seed) for emotion in EMOTIONS for number in range(PEOPLE[size])]
    with alone(root):
        marker.check(root, (NAME,), settings)
        missing = [task for task in tasks if not task.path.is_file()]
        done = len(tasks) - len(missing)
        yield Written(done, len(tasks))
        if not missing and marker.finished(root, (NAME,), settings):
            return
        with refusals(root):
            marker.write(root, {NAME: len(tasks)}, settings, finished=False)
        for index, written in processes.each(_write, missing, workers):
            done += 1
            yield Written(done, len(tasks), f"{NAME}/p{missing[index].number:03d}/{missing[index].emotion}", 1, written)
        with refusals(root):
            marker.write(root, {NAME: len(tasks)}, settings, finished=True)


def _write(task: _Task) -> int:
    """Write a picture; return its bytes."""
    actor = person(key_of("synthetic", task.seed, NAME, task.number))
    performance = perform(key_of("synthetic", task.seed, NAME, task.emotion, task.number), task.emotion, actor, LENGTH, APEX, macro=True)
    content = encoded(task.path.suffix, render(actor, performance, layouts.CAMERAS["macro"], APEX))
    with refusals(task.path.parent):
        task.path.parent.mkdir(parents=True, exist_ok=True)
        marker.whole(task.path, content)
    return len(content)
