"""Whole databases without pictures, each variant written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.phantom import phantom


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a variant's databases, of full size: ``main`` or one of the oddities'. Tests do not write into it."""
    made: dict[str, Path] = {}

    def find(variant: str) -> Path:
        if variant not in made:
            made[variant] = phantom(tmp_path_factory.mktemp("phantom") / variant, variant)
        return made[variant]

    return find
