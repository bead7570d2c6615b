"""The 28 x 28 flow images that the authors of STSTNet hand out for MEGC2019, in both layouts in which people hold them.

Red is u, green v, blue optical strain, TV-L1 from onset to apex. Each channel of each clip was stretched to 0..255, so neither zero
nor scale can be had back: the unit is ``relative``, v / 255, and mirroring is right only after centring.

- flat: ``<subject>_<clip>.png``; the public files have a space before ``.png``.
- by held-out subject: ``<subject>/u_train|u_test/<label>/<subject>_<clip>.png``. There each clip stands once in a test folder and
  once in the training folder of every other subject; only the test folders are read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merbench import guard
from merbench.data import pictures
from merbench.data.schemes import Scheme
from merbench.errors import UserError, visible
from merbench.sample import Clip

NAME = "published-flow"
SIZE = 28

TOLD = 40
"""So many images are named in one message."""


def read(root: Path, scheme: Scheme, databases: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return the images of a scheme's clips, (N, 3, 28, 28) as u, v, strain, in listed order.

    Raises:
        UserError: clips are missing, doubled, unknown, mislabelled or misplaced (each is named), or an image cannot be used.
    """
    clips = scheme.select(databases)
    found = locate(root, scheme)
    missing = [clip for clip in clips if clip.key not in found]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(clips)} clips have no flow image: {_listed(missing, clips)}",
            where=root,
            remedy=_remedy_for_missing(missing, clips),
        )
    return np.stack([_image(found[clip.key]) for clip in clips])


def locate(root: Path, scheme: Scheme) -> dict[str, Path]:
    """Return the file of every clip that is there, by clip key, whatever the layout.

    Raises:
        UserError: the folder is not there, has no image, or holds unknown, doubled, mislabelled or misplaced ones.
    """
    if not root.is_dir():
        raise UserError("the folder of published flow is not there", where=root, remedy=f"merbench data set {NAME} PATH")
    flat, tests = _images(root, "*"), _images(root, "*/u_test/*/*")
    if flat and tests:
        raise UserError(
            "the folder holds both layouts at once",
            where=root,
            remedy=f"take one of them out: {flat[0].name} and its like, or {tests[0].parents[2].name} and its like",
        )
    files = tests or flat
    if not files:
        raise UserError(
            "the folder holds no flow image",
            where=root,
            remedy="point at the folder with the files <subject>_<clip>.png, or with one folder <subject>/u_test per held-out subject",
        )
    spelled = _spellings(scheme.clips)
    places: dict[str, list[Path]] = defaultdict(list)
    complaints: list[str] = []
    for path in files:
        clip = spelled.get(path.stem.strip().lower())
        if clip is None:
            complaints.append(f"unknown: {_told(path, root)}")
            continue
        try:
            places[clip.key].append(guard.within(root, path))
        except ValueError:
            complaints.append(f"elsewhere: {_told(path, root)} is a link that leads out of the folder")
        if tests:
            complaints += _misplaced(path, root, clip, scheme)
    for key, paths in places.items():
        if len(paths) > 1:
            complaints.append(f"doubled: {key} stands in {' and '.join(_told(path, root) for path in paths)}")
    if complaints:
        more = len(complaints) - TOLD
        listed = [*complaints[:TOLD], f"and {more} more"] if more > 0 else complaints
        raise UserError(
            f"{len(complaints)} flow images do not fit the clip list of {scheme.name}:\n  " + "\n  ".join(listed),
            where=root,
            remedy="take these files out of the folder, or correct their names; the clips are listed in data_manifests/megc2019.csv",
        )
    return {key: paths[0] for key, paths in places.items()}


def _images(root: Path, pattern: str) -> list[Path]:
    return sorted(path for path in root.glob(pattern) if path.suffix.lower() == ".png" and not path.name.startswith("."))


def _told(path: Path, root: Path) -> str:
    return visible(str(path.relative_to(root)), keep="")


def _misplaced(path: Path, root: Path, clip: Clip, scheme: Scheme) -> list[str]:
    """Compare a test image's folders with its clip: its label, and whose test folder it is in."""
    label, subject = path.parent.name, path.parents[2].name
    wrong = []
    if label != str(scheme.labels[clip.key]):
        wrong.append(f"mislabelled: {_told(path, root)} is in class folder {label}, not {scheme.labels[clip.key]}")
    if subject.lower() not in _subject_spellings(clip):
        wrong.append(f"misplaced: {_told(path, root)} is in the test folder of another subject")
    return wrong


def _subject_spellings(clip: Clip) -> set[str]:
    """Return how a subject is written: SMIC s01 or s1, SAMM 006 or 6, CASME II sub01."""
    bare = clip.subject.split("/")[1].lower()
    return {bare, re.sub(r"^(s?)0+(?=\d)", r"\1", bare)}


def _spellings(clips: Iterable[Clip]) -> dict[str, Clip]:
    """Return every file stem under which a clip is known, lower case.

    A CASME II clip needs its subject before it; SMIC and SAMM clips begin with theirs and are also found alone.
    """
    spelled = {}
    for clip in clips:
        name = clip.name.lower()
        names = {name, re.sub(r"^(s?)0+(?=\d)", r"\1", name)} if clip.database != "casme2" else {name}
        stems = {f"{subject}_{n}" for subject in _subject_spellings(clip) for n in names}
        for stem in stems | (names if clip.database != "casme2" else set()):
            spelled[stem] = clip
    return spelled


def _listed(missing: Sequence[Clip], clips: Sequence[Clip]) -> str:
    """Name missing clips one by one, and a database that is missing altogether as a whole."""
    parts = []
    for database in dict.fromkeys(clip.database for clip in missing):
        gone = [clip.key for clip in missing if clip.database == database]
        if len(gone) == sum(clip.database == database for clip in clips):
            parts.append(f"{database}: all {len(gone)}")
        else:
            parts += gone
    return ", ".join(parts)


def _remedy_for_missing(missing: Sequence[Clip], clips: Sequence[Clip]) -> str:
    there = [clip.database for clip in clips if clip.database not in {gone.database for gone in missing}]
    whole = "+".join(dict.fromkeys(there))
    use = f", or use what is complete: --on {whole}" if whole else ""
    return f"add the images, named <subject>_<clip>.png{use}"


def _image(path: Path) -> NDArray[np.uint8]:
    """Read one image as (3, 28, 28): u, v, strain."""
    import cv2  # here, so that a machine without OpenCV trains from the prepared store

    try:
        image = pictures.read(path, cv2.IMREAD_UNCHANGED, (pictures.PNG,))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"an image cannot be read: {reason}", where=path, remedy="fetch it again: the file is cut off or no PNG") from error
    if image.dtype != np.uint8 or image.shape != (SIZE, SIZE, 3):
        shape = " x ".join(str(n) for n in image.shape)
        raise UserError(
            f"an image is {shape} {image.dtype}, not {SIZE} x {SIZE} x 3 uint8",
            where=path,
            remedy="published flow is 28 x 28 colour: is this another data set?",
        )
    return np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1))  # OpenCV reads blue first
