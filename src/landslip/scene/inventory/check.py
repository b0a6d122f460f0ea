"""What an inventory looks like on the scene's own pixels: its offset, and ground that was bare before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.rasters import open_raster, read_window
from landslip.scene.inventory.bare import BareGround, bare_before
from landslip.scene.inventory.landslides import Inventory
from landslip.scene.inventory.offset import InventoryOffset, estimate_offset
from landslip.windows import Window

_VISIBLE = ("blue", "green", "red")


@dataclass(frozen=True)
class InventoryCheck:
    """An inventory with what the pixels say of it.

    Parameters
    ----------
    inventory
        The same landslides; with a pre-event image their frame has ``pre_bare`` (share of each that was
        bare before the event, missing where not seen).
    offset
        None where no place has both landslides and image.
    bare
        None without a pre-event image.
    """

    inventory: Inventory
    offset: InventoryOffset | None
    bare: BareGround | None

    @property
    def content(self) -> dict[str, Any]:
        """Return the findings as JSON types."""
        found: dict[str, Any] = {"offset": None if self.offset is None else self.offset.to_dict()}
        if self.bare is not None:
            found["bare_before"] = self.bare.to_dict()
        return found

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what the user should know."""
        said = []
        if self.offset is not None and self.offset.reliable:
            pixel = min(self.inventory.grid.resolution)
            if np.hypot(self.offset.east_m, self.offset.north_m) > pixel:
                said.append(f"{self.offset.words}; move it, or the labels are wrong along every outline")
        if self.bare is not None and (not self.bare.telling or self.bare.flagged.any()):
            said.append(self.bare.words)
        return tuple(said)


def check_inventory(inventory: Inventory, bands: str | os.PathLike[str], layers: Sequence[str]) -> InventoryCheck:
    """Compare an inventory with the rasters of its scene.

    Parameters
    ----------
    inventory
        The landslides.
    bands
        ``bands.tif`` of the scene.
    layers
        Its layers, in order.
    """
    with open_raster(bands, what="scene") as dataset:

        def read(names: Sequence[str], window: Window) -> NDArray[np.float32]:
            pixels: NDArray[np.float32] = read_window(dataset, window, [layers.index(name) + 1 for name in names])
            return pixels

        visible = [name for name in _VISIBLE if name in layers]
        offset = estimate_offset(inventory, lambda window: read(visible, window).mean(axis=0)) if visible else None
        pair = _index_bands(layers)
        if pair is None:
            return InventoryCheck(inventory, offset, None)
        name, more, less = pair

        def index(window: Window) -> NDArray[np.float32]:
            a, b = read((more, less), window)
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.where(a + b > 0, (a - b) / (a + b), np.float32(np.nan))

        bare = bare_before(inventory, index, index=name)
    frame = inventory.frame.assign(pre_bare=np.round(bare.share, 3))
    return InventoryCheck(replace(inventory, frame=frame), offset, bare)


def _index_bands(layers: Sequence[str]) -> tuple[str, str, str] | None:
    """Vegetation index of the pre-event image and its two layers; None where it has none."""
    if {"pre_nir", "pre_red"} <= set(layers):
        return "ndvi", "pre_nir", "pre_red"
    if {"pre_green", "pre_red"} <= set(layers):
        return "ngrdi", "pre_green", "pre_red"
    return None
