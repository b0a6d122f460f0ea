"""A picture of a scene for a first look: the image, stretched, with the landslides' outlines."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.errors import OutputError
from landslip.files import atomic_path
from landslip.rasters import open_raster, read_reduced
from landslip.scene.store import BANDS, LABELS, Scene

EDGE = 1200
"""Longer side of the picture in pixels, at most."""

INVALID_GREY, OUTLINE = 0.35, (1.0, 0.85, 0.0)


def draw_quicklook(scene: Scene, path: str | os.PathLike[str]) -> None:
    """Write a PNG of the scene.

    Parameters
    ----------
    scene
        The scene.
    path
        Picture file.

    Raises
    ------
    OutputError
        It does not end in .png, or cannot be written.
    """
    require_png(path)
    import matplotlib.image

    pixels = (quicklook(scene) * 255).round().astype(np.uint8)
    with atomic_path(path) as temporary:
        matplotlib.image.imsave(temporary, pixels, format="png")


def require_png(path: str | os.PathLike[str]) -> None:
    """Refuse a picture's name of another kind.

    Raises
    ------
    OutputError
        It does not end in .png.
    """
    if Path(path).suffix.lower() != ".png":
        message = f"{os.fspath(path)}: the picture is a PNG; let its name end in .png"
        raise OutputError(message)


def quicklook(scene: Scene, edge: int = EDGE) -> NDArray[np.float64]:
    """Return the picture ``(rows, cols, 3)``, 0 to 1: true colour, grey where invalid, yellow outlines."""
    share = max(1.0, max(scene.grid.shape) / edge)
    shape = (max(1, round(scene.grid.rows / share)), max(1, round(scene.grid.cols / share)))
    indices = [scene.layers.index(name) + 1 for name in ("red", "green", "blue")]
    with open_raster(scene.path / BANDS, what="scene") as dataset:
        image = read_reduced(dataset, indices, shape)
    picture = np.stack([_stretched(band) for band in image], axis=-1)
    picture[~np.isfinite(image).all(axis=0)] = INVALID_GREY
    if scene.has_inventory:
        with open_raster(scene.path / LABELS, what="scene") as dataset:
            labels = read_reduced(dataset, [1], shape, average=False)[0]
        inside = labels == 1
        core = inside.copy()
        for axis in (0, 1):
            for step in (1, -1):
                core &= np.roll(inside, step, axis=axis)
        picture[inside & ~core] = OUTLINE
        picture[labels == 255] *= 0.6  # unknown: shown, dimmed
    return picture


def _stretched(band: NDArray[np.float32]) -> NDArray[np.float64]:
    values = band[np.isfinite(band)]
    if values.size == 0:
        return np.full(band.shape, INVALID_GREY)
    low, high = np.percentile(values, [2, 98])
    stretched: NDArray[np.float64] = np.clip((band - low) / max(high - low, 1e-6), 0, 1).astype(np.float64)
    return np.nan_to_num(stretched)
