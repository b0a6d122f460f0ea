"""A synthetic event from its settings, written as the raw inputs that a user has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.warp import Resampling, reproject
from scipy.ndimage import gaussian_filter
from shapely import Polygon

from landslip._version import __version__
from landslip.files import FORMAT, locked, write_json
from landslip.grid import Grid, read_crs
from landslip.progress import SILENT, Progress, Task
from landslip.simulate import imaging, inventory
from landslip.simulate.config import SimulateConfig
from landslip.simulate.fields import Field2D, fractal, stream
from landslip.simulate.landcover import make_landcover
from landslip.simulate.landslides import Landslide, Wave, make_landslides, rasterise
from landslip.simulate.relief import PIXEL_M, make_relief
from landslip.simulate.spectra import BANDS, Cover
from landslip.simulate.sun import Sun, sun_at
from landslip.simulate.writing import relative, write_band, write_layer, write_polygons
from landslip.windows import Window

DEM_DEGREES = 1 / 3600
"""Cell size of the elevation model: one arc second."""

_DEM_MARGIN_M = 300.0
_DEM_CRS = "EPSG:4326"
_STEPS = 16


@dataclass(frozen=True)
class SimulatedEvent:
    """Where the files of a synthetic event are.

    Parameters
    ----------
    folder
        The output folder; ``event.json`` in it was written last.
    post, pre
        The four bands after and before the event, in the order B02, B03, B04, B08.
    dem
        Elevation model, in degrees.
    inventory, mapped_extent
        Polygons as somebody mapped them, and the area that was searched.
    truth
        Folder with what really happened: ``labels.tif``, ``landslide_id.tif``, ``landcover.tif``,
        ``landcover_pre.tif``, ``landslides.gpkg``.
    prevalence
        Share of the scene's pixels that are landslides.
    landslides
        Number of landslides.
    """

    folder: Path
    post: tuple[Path, ...]
    pre: tuple[Path, ...]
    dem: Path
    inventory: Path
    mapped_extent: Path
    truth: Path
    prevalence: float
    landslides: int


@dataclass(frozen=True)
class _Place:
    """The scene, the larger working grid around it, and the elevation model's grid."""

    working: Grid
    window: Window
    dem: Grid

    @property
    def scene(self) -> Grid:
        return self.working.crop(self.window)


def simulate_event(
    config: SimulateConfig, out: str | os.PathLike[str], *, progress: Progress = SILENT
) -> SimulatedEvent:
    """Simulate an event and write it as a user would have it.

    Parameters
    ----------
    config
        What to simulate.
    out
        Folder, made when absent; files of an earlier event in it are replaced.
    progress
        Who is told how far it is.

    Returns
    -------
    SimulatedEvent
        Where everything is.

    Raises
    ------
    CRSMismatchError
        The CRS is unknown or not projected in metres.
    OutputError
        The folder cannot be written, or another process works on it.
    """
    place = _place(config)
    with locked(out, mark="event.json") as folder, progress.task("simulating", _STEPS) as task:
        (folder / "event.json").unlink(missing_ok=True)
        relief = make_relief(config, place.working.shape, task)
        dem = folder / "dem.tif"
        write_layer(dem, place.dem, "elevation", _elevation_model(config, place, relief.z))
        cover = make_landcover(config, relief)
        task.advance(note="land cover")
        ages = make_landslides(config, relief, place.window, _waves(config), task)
        new, old = (imaging.Scars(slides, rasterise(slides, relief.z)) for slides in ages)
        ground = imaging.Ground(relief.z, cover, old, new, imaging.soil_field(config, place.working.shape))
        del relief  # the rest of it is not needed any more
        bands = {name: _write_bands(config, ground, place, folder, name, task) for name in ("post", "pre")}
        truth = _write_truth(config, ground, place, folder / "truth")
        task.advance(note="truth")
        drawn, extent, number = _write_inventory(config, new.slides, place, folder)
        task.advance(note="inventory")
        label = new.rasters.share[place.window.slices] >= 0.5
        event = SimulatedEvent(
            folder=folder,
            post=bands["post"],
            pre=bands["pre"],
            dem=dem,
            inventory=drawn,
            mapped_extent=extent,
            truth=folder / "truth",
            prevalence=float(label.mean()),
            landslides=len(new.slides),
        )
        files = [*event.post, *event.pre, dem, drawn, extent, *truth]
        write_json(folder / "event.json", _description(config, place, event, number, relative(files, folder)))
        task.advance(note="done")
    return event


def _place(config: SimulateConfig) -> _Place:
    crs = read_crs(f"EPSG:{config.epsg}", what="--epsg")
    to_map = Transformer.from_crs(_DEM_CRS, crs, always_xy=True)
    x, y = to_map.transform(config.longitude, config.latitude)
    half = config.size_px * PIXEL_M / 2
    west, north = round((x - half) / PIXEL_M) * PIXEL_M, round((y + half) / PIXEL_M) * PIXEL_M
    scene = Grid((config.size_px, config.size_px), Affine(PIXEL_M, 0, west, 0, -PIXEL_M, north), crs)
    scene.require_metric(what=f"EPSG:{config.epsg}")
    left, bottom, right, top = scene.bounds
    margin = _DEM_MARGIN_M
    box = to_map.transform_bounds(
        left - margin, bottom - margin, right + margin, top + margin, direction="INVERSE", densify_pts=51
    )
    cells = [int(np.floor(v / DEM_DEGREES)) for v in (box[0], box[3], box[2], box[1])]
    c0, r0, c1, r1 = cells[0], cells[1] + 1, cells[2] + 1, cells[3]
    dem = Grid(
        (r0 - r1, c1 - c0),
        Affine(DEM_DEGREES, 0, c0 * DEM_DEGREES, 0, -DEM_DEGREES, r0 * DEM_DEGREES),
        CRS.from_user_input(_DEM_CRS),
    )
    far = to_map.transform_bounds(*dem.bounds, densify_pts=51)
    reach = max(left - far[0], bottom - far[1], far[2] - right, far[3] - top)
    pad = int(np.ceil(reach / PIXEL_M)) + 4
    edge = config.size_px + 2 * pad
    origin = Affine(PIXEL_M, 0, west - pad * PIXEL_M, 0, -PIXEL_M, north + pad * PIXEL_M)
    return _Place(Grid((edge, edge), origin, crs), Window(pad, pad, config.size_px, config.size_px), dem)


def _waves(config: SimulateConfig) -> tuple[Wave, Wave]:
    """Return the event's landslides, and older ones that no inventory has."""
    return Wave("landslides", config.prevalence, (0.8, 2.7)), Wave("old landslides", config.old_scars, (2.5, 2.2))


def _elevation_model(config: SimulateConfig, place: _Place, z: Field2D) -> NDArray[np.float32]:
    """Terrain as a 30 m model gives it: blurred, in degrees, with an uneven error of about a metre."""
    blurred = gaussian_filter(z - z.min() + 30, 1.2)
    seen = np.zeros(place.dem.shape, np.float32)
    reproject(
        blurred,
        seen,
        src_transform=place.working.transform,
        src_crs=place.working.crs.to_wkt(),
        dst_transform=place.dem.transform,
        dst_crs=place.dem.crs.to_wkt(),
        resampling=Resampling.bilinear,
    )
    error = fractal(place.dem.shape, stream(config.seed, "elevation error"), beta=1.5, longest_px=8)
    return np.round(seen + 0.9 * error, 2).astype(np.float32)


def _write_bands(
    config: SimulateConfig, ground: imaging.Ground, place: _Place, folder: Path, name: str, task: Task
) -> tuple[Path, ...]:
    after = name == "post"
    time = config.post_time if after else config.pre_time
    numbers = imaging.digital_numbers(config, ground, _sun(config, after=after), after=after)
    task.advance(2, note=f"{name} image")
    gap = None if after else _beyond_swath(config)
    paths = []
    for band, pixels in zip(BANDS, numbers, strict=True):
        scene = pixels[place.window.slices].copy()
        if gap is not None:
            scene[gap] = 0
        paths.append(folder / name / f"{band}.tif")
        write_band(paths[-1], place.scene, band, scene, time)
    task.advance(note=f"{name} bands")
    return tuple(paths)


def _sun(config: SimulateConfig, *, after: bool) -> Sun:
    return sun_at(config.post_time if after else config.pre_time, config.longitude, config.latitude)


def _beyond_swath(config: SimulateConfig) -> NDArray[np.bool_]:
    """Pixels east of the slanting edge of the pre-event swath."""
    n = config.size_px
    row, col = np.indices((n, n), dtype=np.float32)
    position = col + np.float32(0.2) * row
    gap: NDArray[np.bool_] = position > np.quantile(position, 1 - config.swath_gap)
    return gap


def _write_truth(config: SimulateConfig, ground: imaging.Ground, place: _Place, folder: Path) -> list[Path]:
    here, scene = place.window.slices, place.scene
    share, number = ground.new.rasters.share[here], ground.new.rasters.number[here]
    label = share >= 0.5
    after = np.where(label, np.uint8(Cover.LANDSLIDE), ground.cover.post[here])
    layers: dict[str, NDArray[np.generic]] = {
        "labels": label.astype(np.uint8),
        "landslide_id": np.where(label, number, 0).astype(np.int32),
        "landcover": after,
        "landcover_pre": ground.cover.pre[here],
    }
    paths = []
    for name, pixels in layers.items():
        paths.append(folder / f"{name}.tif")
        write_layer(paths[-1], scene, name, pixels)
    paths.append(folder / "landslides.gpkg")
    write_polygons(paths[-1], _truth_frame(ground, place), config.post_time)
    return paths


def _truth_frame(ground: imaging.Ground, place: _Place) -> gpd.GeoDataFrame:
    slides, to = ground.new.slides, place.working.transform
    z = ground.z - ground.z.min() + 30
    table: dict[str, Any] = {"id": np.arange(1, len(slides) + 1), "area_m2": [s.area_m2 for s in slides]}
    for end in ("crown", "toe"):
        points = np.array([getattr(s, end) for s in slides]).reshape(-1, 2)
        table[f"{end}_x"], table[f"{end}_y"] = to.c + points[:, 1] * to.a, to.f + points[:, 0] * to.e
        table[f"{end}_z"] = z[points[:, 0].astype(int), points[:, 1].astype(int)].astype(np.float64)
    table["regrowth"] = [s.regrowth for s in slides]
    outlines = inventory.exact_outlines(slides, place.working)
    return gpd.GeoDataFrame(table, geometry=outlines, crs=place.working.crs)


def _write_inventory(
    config: SimulateConfig, slides: list[Landslide], place: _Place, folder: Path
) -> tuple[Path, Path, int]:
    extent: Polygon = inventory.mapped_extent(config, place.scene)
    drawn = inventory.draw_inventory(config, slides, place.working, extent)
    paths = folder / "inventory.gpkg", folder / "mapped_extent.gpkg"
    frame = gpd.GeoDataFrame({"id": np.arange(1, len(drawn) + 1)}, geometry=drawn, crs=place.working.crs)
    write_polygons(paths[0], frame.to_crs(_DEM_CRS), config.post_time)
    around = gpd.GeoDataFrame({"id": [1]}, geometry=[extent], crs=place.working.crs)
    write_polygons(paths[1], around.to_crs(_DEM_CRS), config.post_time)
    return *paths, len(drawn)


def _description(
    config: SimulateConfig, place: _Place, event: SimulatedEvent, drawn: int, files: list[str]
) -> dict[str, Any]:
    suns = {name: _sun(config, after=name == "post") for name in ("post", "pre")}
    return {
        "format": FORMAT,
        "kind": "simulated event",
        "version": __version__,
        "config": config.to_dict(),
        "grid": place.scene.to_dict(),
        "sun": {
            k: {"elevation_deg": round(s.elevation_deg, 3), "azimuth_deg": round(s.azimuth_deg, 3)}
            for k, s in suns.items()
        },
        "landslides": event.landslides,
        "prevalence": round(event.prevalence, 6),
        "inventory_polygons": drawn,
        "files": files,
    }
