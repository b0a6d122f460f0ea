"""A finished scene folder, opened for reading: layers, labels, validity and inventory by window."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import FormatError, LayerError
from landslip.files import read_complete
from landslip.files.places import is_file, nearby
from landslip.grid import Grid
from landslip.rasters import open_raster, read_window
from landslip.windows import Window

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

SCENE_JSON = "scene.json"
BANDS = "bands.tif"
VALID = "valid.tif"
LABELS = "labels.tif"
INVENTORY = "inventory.gpkg"
LOG = "log.json"

UNKNOWN = 255
"""Label of pixels outside the mapped extent."""


_KINDS: dict[str, type] = {"layers": list, "validity": dict, "dates": dict, "images": dict, "inventory": dict}
"""Of the entries of ``scene.json`` that are read without a second look."""


class Scene:
    """A scene folder.

    Open one with :meth:`open`; make one with :func:`landslip.scene.build.build_scene`. Nothing stays
    open between calls, so a scene may be shared by threads and sent to other processes.

    Parameters
    ----------
    path
        The folder.
    info
        Content of its ``scene.json``.
    """

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path = path
        self.info = info
        self.grid = Grid.from_dict(info["grid"])
        self.layers: tuple[str, ...] = tuple(info["layers"])
        self.sources: tuple[str, ...] = tuple(info["validity"])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Scene:
        """Open a finished scene.

        Parameters
        ----------
        path
            The scene folder, or its address (``s3://``, ``https://``).

        Raises
        ------
        MissingInputError
            There is no such folder, or it is not finished.
        FormatError
            It is damaged, or of a newer format.
        """
        folder = Path(path)
        info = read_complete(folder, SCENE_JSON, what="scene")
        for key in ("grid", "layers", "validity"):
            if key not in info:
                message = f"{folder / SCENE_JSON}: no '{key}' entry; the scene is damaged, build it again"
                raise FormatError(message)
        wrong = next((key for key, kind in _KINDS.items() if not isinstance(info.get(key), kind | None)), None)
        try:
            if wrong is not None:
                raise TypeError(wrong)
            scene = cls(folder, info)
        except (KeyError, TypeError, ValueError) as error:
            entry = wrong or "grid"
            message = f"{folder / SCENE_JSON}: the entry '{entry}' is wrong; the scene is damaged, build it again"
            raise FormatError(message) from error
        scene._check_files()
        return scene

    def __repr__(self) -> str:
        """Return folder, size and layers."""
        return f"Scene({str(self.path)!r}, {self.grid.rows} x {self.grid.cols}, layers={self.layers})"

    def read(self, layers: Sequence[str], window: Window | None = None) -> NDArray[np.float32]:
        """Read stored layers.

        Parameters
        ----------
        layers
            Names, in the order wanted.
        window
            Part of the scene; None: all of it.

        Returns
        -------
        ndarray
            ``(layers, rows, cols)`` float32: reflectance, metres, degrees; NaN where any source of the
            layer (image, clouds, dem, pre) is invalid.

        Raises
        ------
        LayerError
            The scene has no such layer.
        """
        indices = [self._index(name) for name in layers]
        with open_raster(self.path / BANDS, what="scene") as dataset:
            pixels: NDArray[np.float32] = read_window(dataset, window, indices)
        return pixels

    def labels(self, window: Window | None = None) -> NDArray[np.uint8] | None:
        """Read the labels ``(rows, cols)`` uint8: 0 not landslide, 1 landslide, 255 unknown; None without any."""
        if not self.has_inventory:
            return None
        with open_raster(self.path / LABELS, what="scene") as dataset:
            pixels: NDArray[np.uint8] = read_window(dataset, window)[0]
        return pixels

    def landslides(self, window: Window | None = None) -> NDArray[np.int32]:
        """Burn the inventory's polygons, as the labels are burnt.

        Returns
        -------
        ndarray
            ``(rows, cols)`` int32: 0 (also where the label is unknown), or the landslide's id (1..n).

        Raises
        ------
        LayerError
            The scene has no inventory.
        """
        labels = self.labels(window)
        if labels is None:
            message = f"{self.path}: the scene has no inventory; build it with --inventory"
            raise LayerError(message)
        from landslip.scene.inventory import rasterise

        landslides = rasterise(self._inventory, self.grid, window=window)[1]
        landslides[labels == UNKNOWN] = 0
        return landslides

    def validity(self, source: str, window: Window | None = None) -> NDArray[np.bool_]:
        """Read where a source is valid.

        Parameters
        ----------
        source
            ``"image"``, ``"clouds"``, ``"dem"`` or ``"pre"``.
        window
            Part of the scene; None: all of it.

        Returns
        -------
        ndarray
            ``(rows, cols)`` bool.

        Raises
        ------
        LayerError
            The scene was built without that source.
        """
        if source not in self.sources:
            message = f"{self.path}: the scene has no source {source!r}; it has: {', '.join(self.sources)}"
            raise LayerError(message)
        with open_raster(self.path / VALID, what="scene") as dataset:
            pixels = read_window(dataset, window, [self.sources.index(source) + 1])
        valid: NDArray[np.bool_] = pixels[0] == 1
        return valid

    def inventory(self) -> GeoDataFrame | None:
        """Return the cleaned inventory in the scene's CRS (id 1..n); None without one."""
        return None if self._inventory is None else self._inventory.frame

    @property
    def has_inventory(self) -> bool:
        """Whether there are labels."""
        return self.info.get("inventory") is not None

    @property
    def dates(self) -> dict[str, list[str]]:
        """Days of acquisition, ``post`` and ``pre``."""
        return dict(self.info.get("dates", {}))

    def _index(self, name: str) -> int:
        if name in self.layers:
            return self.layers.index(name) + 1
        hint = f"it has: {', '.join(self.layers)}"
        if name in ("nir", "pre_nir"):
            hint = "without near-infrared NDVI cannot be had; the visible index ngrdi can"
        elif name.startswith("pre_"):
            hint = "build it with --pre"
        message = f"{self.path}: the scene has no layer {name!r}; {hint}"
        raise LayerError(message)

    @cached_property
    def _inventory(self) -> Any:  # noqa: ANN401 - Inventory, imported late: geopandas is slow to import
        if not self.has_inventory:
            return None
        from landslip.scene.inventory.store import open_inventory

        with nearby(self.path / INVENTORY, what="inventory") as file:
            return open_inventory(file, self.grid)

    def _check_files(self) -> None:
        needed = [BANDS, VALID, *((LABELS, INVENTORY) if self.has_inventory else ())]
        for name in needed:
            if not is_file(self.path / name):
                message = f"{self.path}: {name} is missing; the scene is damaged, build it again"
                raise FormatError(message)
        with open_raster(self.path / BANDS, what="scene") as dataset:
            if tuple(dataset.descriptions) != self.layers or (dataset.height, dataset.width) != self.grid.shape:
                message = f"{self.path}: {BANDS} does not fit {SCENE_JSON}; the scene is damaged, build it again"
                raise FormatError(message)
