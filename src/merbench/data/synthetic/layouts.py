"""Where a clip of each database lies and what its frames are like; every name as its owners give it."""

from __future__ import annotations

from pathlib import PurePosixPath

from merbench.data.synthetic.render import Camera
from merbench.data.synthetic.script import Scene

CAMERAS = {
    "smic": Camera(640, 480, grey=False, face=85),
    "casme2": Camera(640, 480, grey=False, face=120),
    "samm": Camera(960, 650, grey=True, face=165),
    "casme3": Camera(1280, 720, grey=False, face=115),
    "macro": Camera(1280, 720, grey=False, face=115),
}
"""Image sizes as delivered; between the eyes' centres so many pixels that a face is as large as its owners say (CASME II: 280 x 340)."""

JPEG_QUALITY = 95


def folder(scene: Scene) -> PurePosixPath:
    """Return the folder of a clip's frames, below the folder of all databases."""
    subject, name = scene.clip.subject.split("/")[1], scene.clip.name
    if scene.part == "smic":
        return PurePosixPath("smic/SMIC_all_raw/HS", bare(subject), "micro", scene.label, bare(name))
    if scene.part == "casme2":
        return PurePosixPath("casme2/CASME2_RAW_selected", subject, name)
    if scene.part == "samm":
        return PurePosixPath("samm/SAMM", subject, name)
    tree = {"casme3": "Part_A_ME_clip", "macro": "Part_A_MaE_clip"}[scene.part]
    return PurePosixPath("casme3", tree, "frame", f"{subject}_{name}")


def file_name(scene: Scene, number: int) -> str:
    """Return the name of a frame: its number is part of it, padded as in this clip."""
    digits = f"{number:0{scene.digits}d}"
    if scene.part == "smic":
        return f"image{digits}.bmp"
    if scene.part == "casme2":
        return f"img{digits}.jpg"
    if scene.part == "samm":
        return f"{scene.clip.subject.split('/')[1]}_{digits}.jpg"
    return f"{digits}.jpg"


def truth(scene: Scene) -> PurePosixPath:
    """Return the file of what is true about a clip, below the folder of all databases."""
    return PurePosixPath("truth", scene.part, scene.clip.subject.split("/")[1], f"{scene.clip.name}.npz")


def bare(name: str) -> str:
    """Return a name of SMIC as its folders write it: s1_ne_01 for s01_ne_01."""
    return name.replace("s0", "s", 1) if name.startswith("s0") else name
