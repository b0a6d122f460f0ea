"""Scenes and patch sets as one kind of thing: named bands on tall rasters, with labels and landslide ids.

Reads; splits, layers and tiles are made from it elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from landslip.data.tileset import UNKNOWN
from landslip.errors import ConfigError, InputError
from landslip.layers.catalogue import IMAGE_BANDS, TERRAIN
from landslip.study.config import DataConfig
from landslip.study.polygons import burn_region, burn_truth

if TYPE_CHECKING:
    from landslip.data.patches import PatchDataset

log = logging.getLogger(__name__)

Wanted = Sequence[str] | Callable[[tuple[str, ...]], Iterable[str]]
"""Bands to read, or a function that names them from those that there are."""

Scaling = Literal["reflectance", "per-patch-maximum", "random-scale"]


@dataclass(frozen=True)
class Area:
    """One scene, or a whole patch set laid out as a tall raster.

    Parameters
    ----------
    bands
        Stored layers by name, ``(rows, cols)`` float32, NaN = invalid.
    label
        ``(rows, cols)`` uint8: 0, 1, 255 unknown.
    landslide
        ``(rows, cols)`` int32: 0 or the landslide's id.
    region
        Number of the scene; for patches 0 (they have one each).
    pixel_m
        Edge of a pixel.
    scaling
        Unit of the image bands.
    about
        Sources, dates and hygiene as JSON types, for the record.
    """

    bands: dict[str, NDArray[np.float32]]
    label: NDArray[np.uint8]
    landslide: NDArray[np.int32]
    region: int = 0
    pixel_m: float = 10.0
    scaling: Scaling = "reflectance"
    about: dict[str, Any] = field(default_factory=dict)
    test: NDArray[np.bool_] | None = None
    """Test region when it was given as polygons."""
    truth: NDArray[np.int32] | None = None
    """``(rows, cols)``: 0 or the id of the true landslide, where the truth is known."""

    def usable(self, layers: Sequence[str]) -> NDArray[np.bool_]:
        """``(rows, cols)``: of known label and valid in ``layers`` (stored ones)."""
        mask = self.label != UNKNOWN
        for name in layers:
            mask &= np.isfinite(self.bands[name])
        return np.asarray(mask, dtype=np.bool_)


@dataclass(frozen=True)
class PatchPlaces:
    """Where each patch of a patch set lies: ``(n,)`` arrays, and the supplied split if there is one."""

    row: NDArray[np.int32]
    col: NDArray[np.int32]
    region: NDArray[np.int32]
    index: NDArray[np.int64]
    """Number of the patch in the whole set."""
    supplied: NDArray[np.str_] | None
    size: int
    placed: bool = True
    """Whether the data say where patches lie; else rows and columns are a guess from their order."""
    shared: bool = False
    """Whether patches overlap, so that only the supplied split keeps the parts apart."""


@dataclass(frozen=True)
class Source:
    """The pixels of a study: areas, and for patch sets where the patches lie."""

    areas: tuple[Area, ...]
    places: PatchPlaces | None = None

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that every area has, in the order of the first."""
        return tuple(name for name in self.areas[0].bands if all(name in area.bands for area in self.areas))


def open_source(config: DataConfig, *, seed: int = 0, bands: Wanted | None = None) -> Source:
    """Read the data of a study.

    Parameters
    ----------
    config
        Where they are.
    seed
        Of the draw, when a part of a patch set is taken.
    bands
        Bands of a patch set to read, or a function from those that there are to those; default all that layers
        can be made from.

    Raises
    ------
    InputError
        A scene without an inventory; patches without labels; regions that are not there.
    """
    if config.patches is not None:
        return _from_patches(config, seed, bands)
    paths = config.scenes or ((config.scene,) if config.scene else ())
    areas = tuple(_from_scene(Path(path), number, config) for number, path in enumerate(paths))
    if len({area.pixel_m for area in areas}) > 1:
        message = f"the scenes have different pixel sizes ({', '.join(f'{area.pixel_m:g} m' for area in areas)})"
        raise InputError(message + "; build them at one --resolution")
    return Source(areas)


def bands_there(config: DataConfig) -> tuple[str, ...]:
    """Name the bands of scenes or of a patch set that layers can be made from, without reading a pixel."""
    if config.patches is not None:
        from landslip.data.patches import open_patches

        return tuple(_plain(open_patches(config.patches)))
    from landslip.scene.store import Scene

    paths = config.scenes or ((config.scene,) if config.scene else ())
    first, *others = [Scene.open(path).layers for path in paths]
    return tuple(name for name in first if all(name in other for other in others))


def _plain(patches: PatchDataset) -> list[str]:
    known = (*IMAGE_BANDS, *TERRAIN)
    return [name for name in patches.bands if name.removeprefix("pre_") in known]


def _from_scene(path: Path, number: int, config: DataConfig) -> Area:
    from landslip.scene.store import Scene  # prepared data need no geodata libraries

    scene = Scene.open(path)
    label = scene.labels()
    if label is None:
        message = f"{path}: the scene has no inventory, so nothing can be learned from it; build it with --inventory"
        raise InputError(message)
    if not (label == 1).any():
        message = f"{path}: not a single landslide pixel in the scene; look at the inventory and its position"
        raise InputError(message)
    bands = dict(zip(scene.layers, scene.read(scene.layers), strict=True))
    test = None
    if config.test_polygon is not None:
        test = burn_region(config.test_polygon, scene)
    truth = None if config.truth is None else burn_truth(config.truth, scene)
    about: dict[str, Any] = {
        key: scene.info[key] for key in ("sources", "dates", "inventory", "version") if key in scene.info
    }
    about["path"] = path.name
    about["simulated"] = bool(scene.info.get("simulated", False))
    about["grid"] = scene.info["grid"]
    pixel_m = float(np.sqrt(scene.grid.pixel_area_m2))
    return Area(bands, label, scene.landslides(), number, pixel_m, about=about, test=test, truth=truth)


def _from_patches(config: DataConfig, seed: int, wanted: Wanted | None) -> Source:
    from landslip.data.patches import open_patches
    from landslip.layers.stack import as_raster

    assert config.patches is not None
    patches = open_patches(config.patches)
    plain = _plain(patches)
    if callable(wanted):
        needed = set(wanted(tuple(plain)))
        wanted = [name for name in plain if name in needed]
    patches = patches.select(plain if wanted is None else wanted)
    if not patches.reader.labelled:
        message = f"{config.patches}: the patches have no masks, so nothing can be learned from them"
        raise InputError(message)
    keep = _kept(config, patches, seed)
    bands, label = _read(patches, keep)
    landslide = number_landslides(label)
    if not landslide.any():
        message = f"{config.patches}: not a single landslide pixel in the patches; look at the masks"
        raise InputError(message)
    supplied = None if patches.split is None else np.asarray(patches.split)[keep].astype(str)
    row, col, region = (np.asarray(getattr(patches, name))[keep].astype(np.int32) for name in ("row", "col", "region"))
    placed, shared = patches.reader.places.known, patches.reader.places.shared
    if not shared and len(np.unique(np.stack([region, row, col]), axis=1).T) < len(keep):
        log.warning("%s: patches without places of their own; neighbours cannot be kept apart", config.patches)
        row, col, placed = np.zeros_like(row), 2 * np.arange(len(keep), dtype=np.int32), False
    places = PatchPlaces(row, col, region, keep, supplied, int(label.shape[-1]), placed, shared)
    about = {"path": Path(config.patches).name, "patches": len(label), "regions": np.unique(places.region).tolist()}
    scaling: Scaling = getattr(patches, "scaling", "reflectance")
    return Source((Area(bands, as_raster(label), as_raster(landslide), scaling=scaling, about=about),), places)


def _read(patches: PatchDataset, keep: NDArray[np.int64]) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.uint8]]:
    """Read patches one by one into tall bands, so that they are in memory once."""
    first, _ = patches.read(int(keep[0]))
    size = first.shape[1:]
    tall = {name: np.empty((len(keep) * size[0], size[1]), np.float32) for name in patches.bands}
    label = np.empty((len(keep), *size), np.uint8)
    for i, number in enumerate(keep):
        image, label_of = patches.read(int(number))
        if image.shape[1:] != size:
            message = f"patch {patches.names[number]}: {image.shape[1:]}, others are {size}; all must have one size"
            raise InputError(message)
        for name, layer in zip(patches.bands, image, strict=True):
            tall[name][i * size[0] : (i + 1) * size[0]] = layer
        label[i] = label_of
    return tall, label


def _kept(config: DataConfig, patches: Any, seed: int) -> NDArray[np.int64]:  # noqa: ANN401 - a PatchDataset
    region = np.asarray(patches.region)
    config.check_names(region.tolist())
    keep = np.arange(len(region))
    if config.regions:
        absent = sorted(set(config.regions) - set(region.tolist()))
        if absent:
            there = ", ".join(map(str, np.unique(region).tolist()))
            message = f"{config.patches}: region {absent[0]} is not in the patch set; there are: {there}"
            raise ConfigError(message)
        keep = np.flatnonzero(np.isin(region, config.regions))
    if config.limit is not None and config.limit < len(keep):
        keep = np.sort(np.random.default_rng(seed).choice(keep, config.limit, replace=False))
    return keep


def number_landslides(label: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Give connected landslide pixels (over edges and corners) a number within each patch, unique over the set."""
    from scipy import ndimage

    plane = np.ones((3, 3), np.bool_)
    numbered, _ = ndimage.label(label == 1, np.stack([~plane, plane, ~plane]))
    return np.asarray(numbered, dtype=np.int32)
