"""Fixtures of the mapping tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.maps import scene_layers, write_scene
from landslip.scene.store import Scene


@pytest.fixture
def make_scene(tmp_path: Path) -> Callable[..., Scene]:
    """Scenes by shape, or of given layers."""
    count = iter(range(1000))

    def make(shape: tuple[int, int] = (150, 170), layers=None, **options) -> Scene:
        return write_scene(tmp_path / f"scene{next(count)}", layers or scene_layers(shape), **options)

    return make
