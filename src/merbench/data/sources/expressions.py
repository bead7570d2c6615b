"""Labelled pictures of big expressions, to pre-train on: a folder for each emotion, in it pictures or a folder for each person.

``PATH/anger/img1.png`` or ``PATH/anger/anna/img1.png``. Who is on a picture without a person's folder is not known, and so not known to be
another than the held-out person: each such picture is flagged. What is in folders of other names, or deeper, is left out and told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from merbench import guard
from merbench.data.frames import ENDINGS, SEQUENCE, Footage
from merbench.data.schemes import Scheme
from merbench.errors import UserError
from merbench.sample import EMOTIONS, Clip

NAME = "expressions"

WORDS = {
    **{name: name for name in EMOTIONS},
    **dict.fromkeys(("happy", "joy"), "happiness"),
    "surprised": "surprise",
    "disgusted": "disgust",
    "angry": "anger",
    **dict.fromkeys(("fearful", "afraid", "scared"), "fear"),
    "sad": "sadness",
    "other": "others",
}
"""Names of folders, in lower case."""

NOBODY = "unknown"
"""The person of pictures that lie in no person's folder."""

UNKNOWN = "persons of the expression pictures are not known to be others than the held-out"
STILL = "expression pictures are stills"

MOST = 1_000_000
"""Pictures of a folder; the largest sets have some 400,000."""


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        footage: of all pictures, by emotion, person and name.
        left_out: folders that are no emotion, and what lies deeper than a person's folder, each with how many pictures it has.
    """

    footage: tuple[Footage, ...]
    left_out: dict[str, int]

    @property
    def told(self) -> str:
        """Say what is there in words."""
        counts = Counter(each.clip.emotion for each in self.footage)
        named = {each.clip.subject for each in self.footage} - {f"{NAME}/{NOBODY}"}
        words = f"{len(self.footage)} pictures: {', '.join(f'{emotion} {counts[emotion]}' for emotion in EMOTIONS if counts[emotion])}"
        nobody = sum(each.clip.subject == f"{NAME}/{NOBODY}" for each in self.footage)
        words += f"; of {len(named)} named persons" if named else ""
        words += f"; of whom is not known of {nobody}" if nobody else ""
        left = ", ".join(f"{name} ({count})" for name, count in self.left_out.items())
        return words + (f"; left out: {left}" if left else "")


def survey(root: Path) -> Found:
    """Return the pictures of a folder.

    Raises:
        UserError: no folder in it is an emotion, two are the same one, a name cannot be used, or a link leads out of it.
    """
    homes: dict[str, Path] = {}
    left_out: dict[str, int] = {}
    for folder in _folders(root):
        emotion = WORDS.get(folder.name.strip().casefold())
        if emotion is None:
            left_out[folder.name] = sum(1 for _ in _below(folder))
        elif emotion in homes:
            raise UserError(
                f"{homes[emotion].name} and {folder.name} are one emotion", where=root, remedy="put their pictures into one folder"
            )
        else:
            homes[emotion] = folder
    found = [each for emotion in EMOTIONS if emotion in homes for each in _of_emotion(emotion, homes[emotion], root, left_out)]
    if not found:
        raise UserError(
            "the folder holds no pictures of emotions",
            where=root,
            remedy=f"put pictures ({', '.join(ENDINGS)}) into folders called {', '.join(EMOTIONS)}",
        )
    return Found(tuple(found), left_out)


def scheme(footage: Sequence[Footage], name: str) -> Scheme:
    """Return the emotions of pictures that were read here, under the name that all sets to pre-train on have."""
    labels = {each.clip.key: EMOTIONS.index(each.clip.emotion or "") for each in footage}
    return Scheme(name, EMOTIONS, tuple(each.clip for each in footage), labels, "the names of the folders")


def _of_emotion(emotion: str, home: Path, root: Path, left_out: dict[str, int]) -> Iterator[Footage]:
    yield from (_picture(emotion, NOBODY, path, root) for path in _pictures(home))
    for folder in _folders(home):
        yield from (_picture(emotion, folder.name.strip(), path, root) for path in _pictures(folder))
        for deeper in _folders(folder):
            count = sum(1 for _ in _below(deeper))
            if count:
                left_out[f"{home.name}/{folder.name}/{deeper.name}"] = count


def _picture(emotion: str, person: str, path: Path, root: Path) -> Footage:
    """Return a picture as a clip of one frame: onset and apex are the same."""
    try:
        subject, name = guard.plain(person), guard.plain(f"{emotion}-{path.name}")
        guard.within(root, path)
    except ValueError as error:
        raise UserError(
            f"a picture of {emotion} cannot be used: {error}", where=path, remedy="rename it, or put the picture itself there"
        ) from error
    flags = (STILL, UNKNOWN) if person == NOBODY else (STILL,)
    clip = Clip(NAME, f"{NAME}/{subject}", name, emotion=emotion, flags=flags)
    return Footage(clip, path, path, (path,) * SEQUENCE, (0.0,) * SEQUENCE)


def _folders(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if path.is_dir()]


def _pictures(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if path.suffix.lower() in ENDINGS and path.is_file()]


def _below(folder: Path) -> Iterator[Path]:
    yield from _pictures(folder)
    for inner in _folders(folder):
        if not inner.is_symlink():  # a circle has no end
            yield from _below(inner)


def _listed(folder: Path) -> list[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"a folder cannot be listed: {error.strerror}", where=folder, remedy="is it there, and may you read it?") from error
    if len(inside) > MOST:
        raise UserError(f"a folder holds {len(inside):,} files", where=folder, remedy=f"at most {MOST:,} are read")
    return inside
