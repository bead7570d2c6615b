"""Phantom copies: the names and sheets of a rendering, not its pictures."""

from __future__ import annotations

from pathlib import Path

from merbench.data.synthetic.script import PARTS, scenes
from merbench.data.synthetic.write import finished
from tests.data.synthetic.test_write import tree
from tests.phantom import phantom


def test_a_phantom_has_every_clip_and_sheet(tmp_path: Path) -> None:
    root = phantom(tmp_path / "copy", size="mini", marked=True)
    assert all(finished(root, scene, all_frames=False) for scene in scenes("mini", 0))
    assert {path.name for path in root.glob("*/*.xlsx")} == {
        *("CASME2-coding-20140508.xlsx", "CASME2-coding-20190701.xlsx", "SAMM_Micro_FACS_Codes_v2.xlsx"),
        *("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "CAS(ME)3_part_A_v2.xlsx"),
    }


def test_an_unmarked_one_passes_for_a_recorded_database(tmp_path: Path) -> None:
    root = phantom(tmp_path / "copy", size="mini", parts=("samm",))
    assert {path.name for path in root.iterdir()} == {"samm", ".pictures"}
    assert not [name for name in tree(root) if name.endswith((".json", ".npz"))]
    assert "samm" in PARTS
