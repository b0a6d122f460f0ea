"""Inputs that most tests of this room start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.scene_inputs import write_dem, write_image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "post")


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    return write_dem(tmp_path / "dem.tif")
