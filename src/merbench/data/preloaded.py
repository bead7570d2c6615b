"""Imported by the fork server before it forks: the workers of every database find in memory what each would read in a second.

That is OpenCV, the landmark model, and the module of what they do.
"""

from __future__ import annotations

import contextlib

import cv2

from merbench.data import faces, prepare
from merbench.errors import UserError

SHARED = (cv2, prepare)

with contextlib.suppress(UserError):  # without the extra `faces`, whoever asks for a face is told
    faces.load()
