"""The script of a rendered database: which clips there are, what is felt in each, and which frame numbers they have.

SMIC, CASME II and SAMM follow the list of MEGC2019 clip by clip; CAS(ME)^3 has the counts of its sheet v2, with subjects, videos
and onsets of our own. Clip keys and emotions are the same for every seed; lengths, apexes and frame numbers are drawn by seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from merbench.data import frames, schemes
from merbench.data.synthetic.muscles import CLASS_OF
from merbench.sample import Clip
from merbench.streams import key_of

Size = Literal["mini", "full"]

PARTS = ("smic", "casme2", "samm", "casme3", "macro")
"""What can be written by itself: four databases, and the macro-expressions of CAS(ME)^3."""

LENGTHS = {"smic": (11, 58), "casme2": (30, 120), "samm": (40, 110), "casme3": (7, 30), "macro": (15, 75)}
"""Frames from onset to offset, both counted: SMIC-HS as measured on its sheet, the others about what their frame rates give."""

NEGATIVE = {
    "casme2": {"disgust": 61, "repression": 27},
    "samm": {"anger": 57, "contempt": 12, "disgust": 9, "fear": 8, "sadness": 6},
}
"""How many of a class of MEGC2019 are which emotion; SMIC's sheet does not say, and its owners speak of these three."""
SMIC_NEGATIVE = ("disgust", "fear", "sadness")

CASME3 = {"disgust": 250, "surprise": 187, "others": 161, "fear": 86, "anger": 64, "sadness": 57, "happiness": 55}
CASME3_SUBJECTS = (*range(1, 41), 149, 160, *range(166, 218))
"""94 numbers: those that the facts name are among them, the rest are ours."""
CASME3_LARGEST = (160, 57)
CASME3_OTHERS_ONLY = {12: 1, 25: 1, 38: 1, 171: 2, 190: 2, 209: 3}
"""Six subjects have no clip of the three classes: 94 of the sheet are 88 of the scheme."""
CASME3_MINI = (11, 18, 193, 207)
"""Of the subjects above, four with all three classes and 25 clips together."""
VIDEOS = "abcdefghijklm"
SLOT = 100
"""Frames of a video kept free after an onset, longer than any clip, so that no two clips overlap."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One clip to be played.

    Attributes:
        part: one of `PARTS`; macro-expressions belong to the database ``casme3`` and are a part of their own.
        clip: onset, apex and offset are numbers in file names; the apex is the true one, also where the database names none;
            the emotion is one of the renderer's.
        label: negative, positive, surprise or others.
        digits: frame numbers in file names have at least so many.
    """

    part: str
    clip: Clip
    label: str
    digits: int = 1

    @property
    def onset(self) -> int:
        """First frame number."""
        assert self.clip.onset is not None
        return self.clip.onset

    @property
    def apex(self) -> int:
        """Frame number of the true apex."""
        assert self.clip.apex is not None
        return self.clip.apex

    @property
    def offset(self) -> int:
        """Last frame number."""
        assert self.clip.offset is not None
        return self.clip.offset

    @property
    def emotion(self) -> str:
        """What is felt, in the renderer's words."""
        assert self.clip.emotion is not None
        return self.clip.emotion

    @property
    def length(self) -> int:
        """Frames from onset to offset, both counted."""
        return self.offset - self.onset + 1

    @property
    def named_apex(self) -> int:
        """The frame that a reader takes as apex: SMIC names none, and the middle stands for it."""
        return frames.middle(self.onset, self.offset) if self.part == "smic" else self.apex

    def needed(self, all_frames: bool) -> tuple[int, ...]:
        """Return the frame numbers to be written, ascending: all, or what a run can ask for."""
        if all_frames:
            return tuple(range(self.onset, self.offset + 1))
        asked = {self.onset, self.apex, self.offset, frames.middle(self.onset, self.offset)}
        return tuple(sorted(asked | set(frames.sequence(self.onset, self.offset))))


def scenes(size: Size, seed: int) -> tuple[Scene, ...]:
    """Return every clip of a size, of all parts in their order."""
    return (*_megc(size, seed), *_casme3(size, seed))


def _megc(size: Size, seed: int) -> Iterable[Scene]:
    whole = schemes.scheme("megc3")
    felt = _megc_emotions(whole)
    five_digits = set(sorted((clip.key for clip in whole.select(("samm",))), key=lambda key: key_of("synthetic", "digits", key))[:31])
    for clip in whole.clips if size == "full" else schemes.scheme("megc3-mini").clips:
        digits = {"smic": 6, "casme2": 1, "samm": 5 if clip.key in five_digits else 4}[clip.database]
        yield _scene(clip.database, clip.subject, clip.name, felt[clip.key], _first(clip, seed), seed, digits)


def _megc_emotions(whole: schemes.Scheme) -> dict[str, str]:
    """Return the emotion of each clip of MEGC2019: by its key alone, and in full with the counts of the sheets."""
    felt: dict[str, str] = {}
    for clip in whole.clips:
        name = whole.classes[whole.labels[clip.key]]
        felt[clip.key] = {"positive": "happiness", "surprise": "surprise"}.get(name, "")
    for database in ("smic", *NEGATIVE):
        keys = [clip.key for clip in whole.select((database,)) if not felt[clip.key]]
        if database == "smic":
            felt |= {key: SMIC_NEGATIVE[_draw(0, len(SMIC_NEGATIVE) - 1, "emotion", key)] for key in keys}
        else:
            keys.sort(key=lambda key: key_of("synthetic", "emotion", key))
            felt |= dict(zip(keys, Counter(NEGATIVE[database]).elements(), strict=True))
    return felt


def _first(clip: Clip, seed: int) -> int:
    """Return a clip's first frame number, as large as its database's are; never 0."""
    low, high = {"smic": (30_000, 900_000), "casme2": (3, 250), "samm": (150, 9_000)}[clip.database]
    if clip.subject in {"smic/s18", "smic/s19", "smic/s20"}:  # theirs have seven or eight digits
        low, high = 1_000_000, 20_000_000
    return _draw(low, high, seed, "onset", clip.key)


def _casme3(size: Size, seed: int) -> Iterable[Scene]:
    felt = _casme3_emotions()
    played: dict[str, list[Scene]] = {"casme3": [], "macro": []}
    for number in CASME3_SUBJECTS if size == "full" else CASME3_MINI:
        subject = f"casme3/spNO.{number}"
        negative = [name for name in CASME3 if CLASS_OF.get(name) == "negative"]
        macro = ("happiness", "surprise", negative[_draw(0, len(negative) - 1, "macro", subject)])
        free = {video: _draw(20, 200, "start", subject, video) for video in VIDEOS}
        for index, (part, emotion) in enumerate([("casme3", each) for each in felt[number]] + [("macro", each) for each in macro]):
            video = VIDEOS[_draw(0, len(VIDEOS) - 1, "video", subject, index)]
            onset = free[video] + _draw(0, 400, "gap", subject, index)
            free[video] = onset + SLOT
            played[part].append(_scene(part, subject, f"{video}_{onset}", emotion, onset, seed, 1))
    return (*played["casme3"], *played["macro"])


def _casme3_emotions() -> dict[int, list[str]]:
    """Return the emotions of each subject's micro-expressions: the counts of sheet v2, all seven over all subjects."""
    fixed = dict([CASME3_LARGEST, *CASME3_OTHERS_ONLY.items()])
    drawn = [number for number in CASME3_SUBJECTS if number not in fixed]
    weights = [1 + 7 * (_draw(0, 999, "weight", number) / 999) ** 2 for number in drawn]
    free = sum(CASME3.values()) - sum(fixed.values()) - len(drawn)  # each has one at least
    shares = [free * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(drawn)), key=lambda index: counts[index] - shares[index])
    for index in by_remainder[: free - sum(counts)]:
        counts[index] += 1
    left = fixed | {number: 1 + count for number, count in zip(drawn, counts, strict=True)}
    rest = Counter(CASME3) - Counter({"others": sum(CASME3_OTHERS_ONLY.values())})
    felt: dict[int, list[str]] = {number: ["others"] * count for number, count in CASME3_OTHERS_ONLY.items()}
    seats = [number for number in CASME3_SUBJECTS if number not in CASME3_OTHERS_ONLY]
    pool = _shuffled([name for name in rest.elements() if name != "others"], "three classes")
    felt |= {number: [name] for number, name in zip(seats, pool, strict=False)}  # one of the three classes first
    pool = _shuffled([*pool[len(seats) :], *["others"] * rest["others"]], "all")
    for number in seats:
        more = left[number] - 1
        felt[number] += pool[:more]
        pool = pool[more:]
    assert not pool
    return felt


def _scene(part: str, subject: str, name: str, emotion: str, onset: int, seed: int, digits: int) -> Scene:
    """Draw length and apex: the apex lies in the middle third, and in SMIC near the middle but never on it."""
    key = f"{subject}/{name}"
    low, high = LENGTHS[part]
    length = (_draw(low, high, seed, "length", 0, key) + _draw(low, high, seed, "length", 1, key) + 1) // 2
    apex = onset + max(1, round((length - 1) * _draw(34, 62, seed, "apex", key) / 100))
    if part == "smic":
        away = _draw(1, max(1, length // 12), seed, "apex", key)
        apex = frames.middle(onset, onset + length - 1) + (away if _draw(0, 1, seed, "side", key) else -away)
    database = "casme3" if part == "macro" else part
    clip = Clip(database, subject, name, onset=onset, apex=apex, offset=onset + length - 1, emotion=emotion)
    return Scene(part, clip, CLASS_OF.get(emotion, "others"), digits)


def _draw(low: int, high: int, *names: str | int) -> int:
    """Return a whole number from low to high, both possible, that depends on the names alone."""
    return low + key_of("synthetic", *names) % (high - low + 1)


def _shuffled(names: list[str], purpose: str) -> list[str]:
    order = sorted(range(len(names)), key=lambda index: key_of("synthetic", "shuffle", purpose, index))
    return [names[index] for index in order]
