"""The real command for which the scheme of a first look has twelve clips, of which there are rendered ones."""

from __future__ import annotations

from merbench.cli import main
from merbench.data import schemes
from merbench.data.synthetic import script, write

FEW = {
    *("smic/s02/s02_po_01", "smic/s02/s02_sur_01", "smic/s04/s04_ne_01", "smic/s04/s04_ne_09"),
    *("casme2/sub02/EP01_11f", "casme2/sub02/EP09_01", "casme2/sub06/EP02_31", "casme2/sub06/EP16_05"),
    *("samm/006/006_1_2", "samm/006/006_2_4", "samm/007/007_5_3", "samm/007/007_7_1"),
}


def few() -> schemes.Scheme:
    """Return the scheme."""
    whole = schemes.megc3()
    clips = tuple(clip for clip in whole.clips if clip.key in FEW)
    return schemes.Scheme(schemes.FIRST_LOOK, whole.classes, clips, {clip.key: whole.labels[clip.key] for clip in clips}, "these tests")


def shorten() -> None:
    """Make the first look shorter, and what is rendered for it."""
    schemes.SCHEMES[schemes.FIRST_LOOK] = few
    setattr(schemes, "check_counts", lambda _: None)  # noqa: B010  # mypy forbids the assignment
    setattr(write, "scenes", lambda size, seed: tuple(scene for scene in script.scenes(size, seed) if scene.clip.key in FEW))  # noqa: B010


if __name__ == "__main__":
    shorten()
    main()
