"""Everything a scene is built from, opened and checked before a pixel is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landslip.grid import Grid
from landslip.scene.config import SceneConfig
from landslip.scene.coregister import Shift, estimate_shift
from landslip.scene.elevation import Elevation, open_elevation
from landslip.scene.images.image import Image
from landslip.scene.images.sources import ReadOptions, read_images
from landslip.scene.mosaic import Mosaic
from landslip.scene.remarks import Remarks
from landslip.scene.target import choose_grid
from landslip.wording import counted

if TYPE_CHECKING:
    from landslip.scene.inventory import Inventory, MappedExtent

SHIFT_BAND = "red"
"""Band whose pre- and post-event images are compared."""

NOTEWORTHY_PX = 0.5
"""Shifts beyond this many pixels are remarked on."""


@dataclass(frozen=True)
class Inputs:
    """Opened inputs on the scene's grid."""

    grid: Grid
    post: list[Image]
    pre: list[Image]
    elevation: Elevation | None
    inventory: Inventory | None
    aoi: MappedExtent | None
    shift: Shift | None = None
    """Of the pre-event image; None without one."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Bands of ``valid.tif``."""
        masked = any(image.classes is not None for image in self.post)
        there = {"image": True, "clouds": masked, "dem": self.elevation is not None, "pre": bool(self.pre)}
        return tuple(name for name, present in there.items() if present)

    @property
    def layers(self) -> tuple[str, ...]:
        """Bands of ``bands.tif``."""
        terrain = self.elevation.layers if self.elevation is not None else ()
        before = tuple(f"pre_{name}" for name in self.pre[0].bands) if self.pre else ()
        return (*self.post[0].bands, *terrain, *before)


def open_inputs(config: SceneConfig, remarks: Remarks) -> Inputs:
    """Open and check everything; say what the user should know.

    Raises
    ------
    LandslipError
        An input is missing, damaged or contradictory.
    """
    options = ReadOptions(config.bands, config.extra_bands, config.offset, config.quantification)
    post = read_images(config.images, options, remarks)
    pre = _open_pre(config, post, remarks)
    grid = choose_grid(post, config.crs, config.resolution)
    elevation = _open_elevation(config, grid)
    inventory, aoi = _open_inventory(config, grid, remarks)
    if "nir" not in post[0].bands:
        remarks.add("no near-infrared band: NDVI cannot be had, the visible index ngrdi can stand in for it")
    shift = _estimate_shift(post, pre, grid, config, remarks) if pre else None
    return Inputs(grid, post, pre, elevation, inventory, aoi, shift)


def _estimate_shift(post: list[Image], pre: list[Image], grid: Grid, config: SceneConfig, remarks: Remarks) -> Shift:
    merging = config.merging()
    with (
        Mosaic([image.select((SHIFT_BAND,)) for image in post], grid, merging) as after,
        Mosaic([image.select((SHIFT_BAND,)) for image in pre], grid, merging) as before,
    ):
        shift = estimate_shift(lambda w: after.read(w).bands[0], lambda w: before.read(w).bands[0], grid.shape)
    if not shift.known:
        remarks.add("the shift of the pre-event image could not be estimated: too little in common with the image")
    elif not config.coregister and np.hypot(shift.rows, shift.cols) > NOTEWORTHY_PX:
        remarks.add(
            f"the pre-event image lies {shift.rows:.2f} pixels down and {shift.cols:.2f} right of the image "
            f"({counted(shift.blocks, 'place')}, spread {shift.spread:.2f}); give --coregister to move it back"
        )
    return shift


def _open_elevation(config: SceneConfig, grid: Grid) -> Elevation | None:
    if not config.dem:
        return None
    return open_elevation(config.dem, grid, config.elevation)


def _open_pre(config: SceneConfig, post: list[Image], remarks: Remarks) -> list[Image]:
    if not config.pre:
        return []
    offset = config.offset if config.pre_offset is None else config.pre_offset
    options = ReadOptions(config.bands, (), offset, config.quantification, "pre-event image")
    pre = read_images(config.pre, options, remarks)
    missing = [name for name in post[0].bands if name not in pre[0].bands]
    if missing:
        remarks.add(f"the pre-event image has no {', '.join(missing)}; differences of it cannot be had")
    return pre


def _open_inventory(config: SceneConfig, grid: Grid, remarks: Remarks) -> tuple[Inventory | None, MappedExtent | None]:
    if config.inventory is None:
        return None, None
    from landslip.scene.inventory import NO_EXTENT, read_aoi, read_inventory  # imports geopandas

    inventory = read_inventory(config.inventory, grid, layer=config.inventory_layer, encoding=config.inventory_encoding)
    if inventory.hygiene.changed:
        remarks.add(f"{Path(config.inventory).name}: {' '.join(inventory.hygiene.words)}")
    if config.aoi is None:
        remarks.add(NO_EXTENT)
        return inventory, None
    return inventory, read_aoi(config.aoi, grid)
