"""What is odd about copies of the databases, and the layouts in which each oddity is written: one table.

Where a thing is not marked as ours it was found in the owners' sheets or in public loaders of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from merbench.data.synthetic.variants import cropped, long, nested, odd

VARIANTS = {"odd": odd.layout, "cropped": cropped.layout, "nested": nested.layout, "long": long.layout}
"""Roots below ``odd/``, each with the databases as some copies have them."""

ODDITIES: Mapping[str, tuple[str, str]] = {
    "the cameras VIS and NIR": ("odd: smic", "71 clips once more, with every fourth frame and numbers of their own; NIR is grey"),
    "frame numbers missing inside": ("odd: smic", "four clips of s03 lack one or two numbers, and end so much later"),
    "apex is offset": ("odd: casme2", "four rows"),
    "a question mark in action units": ("odd: casme2", "five rows of 2014"),
    "numbers as text": (
        "odd: casme2, samm, casme3",
        "the onset of some rows, the offset of some with a blank behind it, every frame number",
    ),
    "stray blanks": ("odd: casme2", "around a clip's name"),
    "no-break space": ("odd: casme2", "around an emotion"),
    "columns in another order": ("odd: casme2", "and the two that have no name behind them"),
    "last frames missing": ("odd: casme2", "sub16/EP01_08 ends at frame 96, its offset is 110"),
    "onset frame missing, the next one there": ("odd: casme2", "ours"),
    "a folder without a row": ("odd: casme2", "sub09/EP02_02f and sub24/EP02_07"),
    "apex beyond offset": ("odd: samm", "028_4_1: 1143, its offset is 1134"),
    "apex with a slip of a digit": ("odd: samm", "032_3_1: 1930 for 4930"),
    "apex one frame behind onset": ("odd: samm", "032_3_2: 5127"),
    "ambiguous action units": ("odd: samm", "eight rows: 'or', '?', '(R6 or R12)'"),
    "a slash for nothing": ("odd: samm", "among the notes"),
    "an empty row": ("odd: samm", "in the middle of the table"),
    "impossible frame numbers": ("odd, nested: casme3", "spNO.149/d, spNO.216/d, spNO.216/e and spNO.40/e twice"),
    "a clip of two minutes": ("odd: casme3", "spNO.214/c: 5-5-3460"),
    "apex is onset": ("odd: casme3", "55 rows of 860 with spNO.216/e and spNO.214/c"),
    "a capital letter": ("odd: casme3", "three rows are 'Others'"),
    "a full-width comma": ("odd: casme3", "between action units"),
    "a video in capitals": ("odd, nested: casme3", "J in the sheet, j on disk"),
    "faces cut out": ("cropped: smic, casme2, samm", "reg_image559740.bmp, reg_img46.jpg, smaller than what was filmed"),
    "a sibling non_micro": ("cropped: smic", "what lies beside micro is no clip"),
    "the sheet among the frames": ("cropped: samm", "SAMM_CROP holds it"),
    "a folder in a folder of its name": ("nested: casme2, samm", "CASME2_RAW_selected/CASME2_RAW_selected"),
    "only the sheet of 2019": ("nested: casme2", "three clips are surprise"),
    "a stray shortcut": ("nested: casme2", "Desktop - Shortcut.lnk in sub01"),
    "spNo. for spNO.": ("nested: casme3", "folders of subjects with an odd number"),
    "first frames never recorded": ("nested: casme3", "the first seven of a video"),
    "frames dropped inside": ("nested: casme3", "one frame of every tenth clip"),
    "rows that v2 has no more": ("nested: casme3", "61 rows of v1"),
    "a sheet in the old format": ("nested: casme3", "v1 and the macro-expressions, as Excel 2 wrote workbooks"),
    "long videos with a sheet": ("long: smic", "SMIC-E: 157 videos of HS, 71 of VIS and NIR, frames from before and behind the clip"),
    "several clips in a video": ("long: smic", "s3_ne_03, s4_ne_05, s4_ne_06 and s9_sur_02 lie in another clip's video"),
    "a second movement before the first": ("long: smic", "s18_sur_03"),
    "a formula gone wrong": ("long: smic", "in the third movement of five rows"),
    "a span without its clip": ("long: smic", "s1_ne_03: 650000 to 650699"),
    "a label that the name denies": ("long: smic", "s18_sur_03 is 'negative'"),
    "no apex": ("long: casme2", "21 rows have '/' or nothing"),
    "other frames than in the owners' sheet": ("long: casme2", "sub07/EP06_01, sub12/EP09_02, sub12/EP09_06, sub16/EP01_08, sub20/EP16_01"),
    "a row of which the owners' sheets know nothing": ("long: casme2", "sub24/EP02_07 in a sheet of 256 rows"),
    "untrimmed": ("long: casme2", "CASME2-RAW has frames from before the onset and behind the offset"),
    "irregular file names": ("long: samm", "six clips; that they begin with the clip's name is ours"),
    "mixed padding": ("long: samm", "four and five digits in one folder"),
}
"""Name to the variants and databases that have it, and what it is."""
