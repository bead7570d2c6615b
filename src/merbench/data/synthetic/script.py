"""The script of a rendered database: which clips there are, what is felt in each, and which frame numbers they have.

SMIC, CASME II and SAMM follow the list of MEGC2019 clip by clip; CASME II and SAMM have the rest of their sheets' 255 and 159 rows
too, and CAS(ME)^3 the counts of its sheet v2, with subjects, videos and onsets of our own but for six clips. Clip keys, emotions and
objective classes are the same for every seed; lengths, apexes and frame numbers are drawn by seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from merbench.data import frames, schemes
from merbench.data.synthetic import extras, objective
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
"""Of the subjects above, four with all three classes and 25 clips together; `mini` has the known clips of `extras` beside them."""
VIDEOS = "abcdefghijklm"
SLOT = 100
"""Frames of a video kept free after an onset, longer than any clip, so that no two clips overlap."""
TWO_MORE_CAMERAS = tuple(f"smic/s{number}" for number in (11, 12, 13, 14, 15, 18, 19, 20))
"""Subjects of SMIC whom the cameras VIS and NIR filmed too: 71 clips."""
SLOWER = 4
"""So many frames of HS pass for one of VIS or NIR: 100 and 25 a second."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One clip to be played.

    Attributes:
        part: one of `PARTS`; macro-expressions belong to the database ``casme3`` and are a part of their own.
        clip: onset, apex and offset are numbers in file names; the apex is the true one, also where the database names none;
            the emotion is one of the renderer's.
        label: negative, positive, surprise or others.
        digits: frame numbers in file names have at least so many.
        objective: class by action units, I to VII, of CASME II and SAMM.
        said: what the owners' sheet gives as apex where it is not the true one.
        also: frame numbers that layouts ask for beyond those of the clip itself.
    """

    part: str
    clip: Clip
    label: str
    digits: int = 1
    objective: str = ""
    said: int | str | None = None
    also: tuple[int, ...] = ()

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
        """The frame that a reader takes as apex: SMIC names none, two rows of CASME II none that can be, and the middle stands for it."""
        return frames.middle(self.onset, self.offset) if self.part == "smic" or self.said is not None else self.apex

    def needed(self, all_frames: bool) -> tuple[int, ...]:
        """Return the frame numbers to be written, ascending: all, or what a run can ask for."""
        if all_frames:
            return tuple(range(self.onset, self.offset + 1))
        asked = {self.onset, self.apex, self.offset, frames.middle(self.onset, self.offset)}
        return tuple(sorted(asked | set(frames.sequence(self.onset, self.offset)) | set(self.also)))


def scenes(size: Size, seed: int) -> tuple[Scene, ...]:
    """Return every clip of a size, of all parts in their order."""
    return (*_listed(size, seed), *_casme3(size, seed))


def _listed(size: Size, seed: int) -> Iterable[Scene]:
    """Return the clips of MEGC2019 and those that sheets have beyond it, by key within a database."""
    whole = schemes.scheme("megc3")
    felt = _megc_emotions(whole)
    five_digits = set(sorted((clip.key for clip in whole.select(("samm",))), key=lambda key: key_of("synthetic", "digits", key))[:31])
    clips, classes = list(whole.clips), dict[str, str]()
    kept = {clip.key for clip in whole.clips if clip.subject.split("/")[1] in schemes.MINI[clip.database]}
    for database in ("casme2", "samm"):
        more = tuple(extras.extras(database, [clip.key for clip in whole.select((database,))]))
        clips += [Clip(database, f"{database}/{subject}", name) for subject, name, _ in more]
        felt |= {f"{database}/{subject}/{name}": emotion for subject, name, emotion in more}
        kept |= extras.first_look(database, more, schemes.MINI[database])
        classes |= objective.assigned(
            database, {key: each for key, each in felt.items() if key.startswith(f"{database}/")}, frozenset(kept)
        )
    clips.sort(key=lambda clip: (PARTS.index(clip.database), clip.key))
    ends: dict[str, int] = {}
    for clip in clips:
        digits = {"smic": 6, "casme2": 1, "samm": 5 if clip.key in five_digits else 4}[clip.database]
        first = _first(clip, seed) if clip.key not in extras.FOLLOWS else ends[extras.FOLLOWS[clip.key]] + SLOT
        scene = _scene(clip.database, clip.subject, clip.name, felt[clip.key], first, seed, digits)
        ends[clip.key] = scene.offset
        if size == "full" or clip.key in kept:
            yield replace(scene, objective=classes.get(clip.key, ""))


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
    for number in CASME3_SUBJECTS:
        subject, known = f"casme3/spNO.{number}", extras.CASME3_KNOWN.get(number, ())
        if size == "mini" and number not in CASME3_MINI and not known:
            continue
        negative = [name for name in CASME3 if CLASS_OF.get(name) == "negative"]
        macro = ("happiness", "surprise", negative[_draw(0, len(negative) - 1, "macro", subject)])
        free = {video: _draw(20, 200, "start", subject, video) for video in VIDEOS}
        for name in known:
            free[name[0]] = (extras.FRAMES[f"{subject}/{name}"][2] or 0) + SLOT
        for index, (part, emotion) in enumerate([("casme3", each) for each in felt[number]] + [("macro", each) for each in macro]):
            if part == "casme3" and index < len(known):
                played[part].append(_scene(part, subject, known[index], emotion, 0, seed, 1))
                continue
            video = VIDEOS[_draw(0, len(VIDEOS) - 1, "video", subject, index)]
            onset = free[video] + _draw(0, 400, "gap", subject, index)
            free[video] = onset + SLOT
            if size == "full" or number in CASME3_MINI:
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
    for number in extras.CASME3_KNOWN_OTHERS:  # their known clips stand first
        _swapped(felt, number, len(extras.CASME3_KNOWN[number]))
    return felt


def _swapped(felt: dict[int, list[str]], number: int, others: int) -> None:
    """Let a subject's list begin with so many 'others'; what it lacks of them it gets from whoever has most, for something else."""
    own = sorted(felt[number][1:], key=lambda name: name != "others") + felt[number][:1]
    for index in range(others):
        if own[index] != "others":
            giver = max(
                (n for n in felt if n not in extras.CASME3_KNOWN and n not in CASME3_OTHERS_ONLY),
                key=lambda n: (felt[n].count("others"), -n),
            )
            place = len(felt[giver]) - 1 - felt[giver][::-1].index("others")
            own[index], felt[giver][place] = felt[giver][place], own[index]
    felt[number] = own


def _scene(part: str, subject: str, name: str, emotion: str, onset: int, seed: int, digits: int) -> Scene:
    """Draw length and apex: the apex lies in the middle third, and in SMIC near the middle but never on it."""
    key = f"{subject}/{name}"
    low, high = LENGTHS[part]
    length = (_draw(low, high, seed, "length", 0, key) + _draw(low, high, seed, "length", 1, key) + 1) // 2
    apex = onset + max(1, round((length - 1) * _draw(34, 62, seed, "apex", key) / 100))
    if part == "smic":
        away = _draw(1, max(1, length // 12), seed, "apex", key)
        apex = frames.middle(onset, onset + length - 1) + (away if _draw(0, 1, seed, "side", key) else -away)
    onset, apex, offset = _known(key, onset, apex, onset + length - 1)
    database = "casme3" if part == "macro" else part
    clip = Clip(database, subject, name, onset=onset, apex=apex, offset=offset, emotion=emotion)
    unusable: dict[str, int | str] = {"casme2/sub04/EP12_01f": "/", "casme2/sub05/EP09_05f": onset}
    return Scene(part, clip, CLASS_OF.get(emotion, "others"), digits, said=unusable.get(key), also=_also(clip))


def _known(key: str, onset: int, apex: int, offset: int) -> tuple[int, int, int]:
    """Return the frame numbers that are known of a clip, and what was drawn for the rest, moved to where the known ones are."""
    known = extras.FRAMES.get(key, (None, None, None))
    first, top, last = known
    if first is None and last is not None:
        first = max(1, last - (offset - onset))
    moved = 0 if first is None else first - onset
    first, last = onset + moved, offset + moved if last is None else last
    top = min(apex + moved, last - 1) if top is None else top
    return first, top, max(last, top + 1)


def _also(clip: Clip) -> tuple[int, ...]:
    assert clip.onset is not None
    assert clip.offset is not None
    if clip.key == "samm/032/032_3_2":
        return (clip.onset + 1,)  # the apex of the sheet as its owners give it
    if clip.subject not in TWO_MORE_CAMERAS:
        return ()
    last = (clip.offset - clip.onset) // SLOWER
    return tuple(clip.onset + SLOWER * number for number in {*frames.sequence(0, last), frames.middle(0, last)})


def _draw(low: int, high: int, *names: str | int) -> int:
    """Return a whole number from low to high, both possible, that depends on the names alone."""
    return low + key_of("synthetic", *names) % (high - low + 1)


def _shuffled(names: list[str], purpose: str) -> list[str]:
    order = sorted(range(len(names)), key=lambda index: key_of("synthetic", "shuffle", purpose, index))
    return [names[index] for index in order]
