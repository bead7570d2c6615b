"""What readings are called on a page, and how both pages are read."""

from __future__ import annotations

FIRST = "last"
"""The reading that is shown first, and of which reports are."""

NAMES = {
    "last": "Last epoch",
    "inner": "Inner epoch",
    "oracle-subject": "Oracle, per subject",
    "oracle-epoch": "Oracle, one epoch",
}

TOLD = {
    "last": "fixed beforehand; ranked",
    "inner": "each fold's epoch was chosen by inner trainings on its training subjects alone; ranked apart",
    "oracle-subject": "for each held-out subject its best epoch, chosen on its own test clips; never ranked",
    "oracle-epoch": "one epoch for all, chosen on the held-out subjects; never ranked",
}


def named(reading: str) -> str:
    """Return a reading's name in words; its own where this page does not know it."""
    return NAMES.get(reading, reading)


def told(reading: str) -> str:
    """Return how a reading chooses its epoch."""
    return TOLD.get(reading, "not ranked here")


def is_oracle(reading: str) -> bool:
    """Return whether a reading has looked at the held-out labels."""
    return reading.startswith("oracle")
