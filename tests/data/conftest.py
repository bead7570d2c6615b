"""Whole databases without pictures, each variant written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import once
from tests.phantom import phantom


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a variant's databases, of full size: ``main`` or one of the oddities'. Tests do not write into it."""

    def find(variant: str) -> Path:
        return once(tmp_path_factory, f"phantom-{variant}", lambda root: phantom(root, variant))

    return find
