"""Finished map folders with landslides that a test draws, without a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely
from affine import Affine
from pyproj import CRS

from landslip.files import sha256, write_json
from landslip.grid import Grid
from landslip.mapping.landslides.fields import FIELDS
from landslip.mapping.show.writing import Layer, write_geopackage
from landslip.rasters import RasterSpec, write_raster

ATTRIBUTES = {
    "probability_mean": 0.8, "probability_max": 0.9, "slope_mean_deg": 30.0, "slope_max_deg": 40.0, "relief_m": 50.0,
    "fall_aspect_deg": 90.0, "length_m": 20.0, "width_m": 10.0, "runout_m": 20.0, "volume_m3": 100.0,
    "volume_low_m3": 50.0, "volume_high_m3": 200.0,
}  # fmt: skip


def grid_at(epsg, west, north, shape=(40, 50), pixel=10.0):
    return Grid(shape, Affine(pixel, 0, west, 0, -pixel, north), CRS.from_epsg(epsg))


def write_map(folder, grid, shapes=(), *, dates=("2018-09-10",), probability=None, **attributes):
    """A finished map; each attribute is one value for all its landslides or one for each."""
    folder.mkdir(parents=True)
    shapes = np.array(list(shapes), object)
    table = pd.DataFrame({"id": np.arange(1, len(shapes) + 1, dtype=np.int64)})
    table["area_m2"], table["perimeter_m"] = shapely.area(shapes), shapely.length(shapes)
    centres = shapely.get_coordinates(shapely.centroid(shapes)) if len(shapes) else np.zeros((0, 2))
    for name, value in (ATTRIBUTES | attributes).items():
        table[name] = np.full(len(shapes), value, float) if np.isscalar(value) else np.array(value, float)
    for name in ("crown", "toe"):
        table[f"{name}_x"], table[f"{name}_y"] = centres[:, 0], centres[:, 1]
    table["confidence"] = pd.Series(["high"] * len(shapes), dtype=str)
    table = table[[field.name for field in FIELDS]]
    write_geopackage(folder / "landslides.gpkg", [Layer("landslides", shapes, table, grid.crs)])
    pixels = np.full(grid.shape, 0.25, np.float32) if probability is None else probability
    spec = RasterSpec(grid, "float32", ("landslide probability",), nodata=float("nan"))
    write_raster(folder / "probability.tif", pixels[None], spec)
    names = ("landslides.gpkg", "probability.tif")
    write_json(
        folder / "map.json",
        {
            "format": 1,
            "version": "0.1.0",
            "scene": {"name": folder.name, "checksum": "0" * 64, "dates": {"post": list(dates)} if dates else {},
                      "grid": grid.to_dict()},
            "models": [{"name": "unet", "checksum": "a" * 64, "threshold": 0.5, "layers": ["red", "slope"]}],
            "threshold": 0.5,
            "settings": {"predict": {"tile": 128, "overlap": 32, "batch": 16, "variants": "none",
                                     "uncertainty": "none"}},
            "precision": "float32",
            "device": "cpu",
            "counts": {"landslides": len(shapes)},
            "areas_m2": {"mapped": 100.0 * pixels.size, "unmapped": {}},
            "files": {name: sha256(folder / name) for name in names},
        },
    )  # fmt: skip
    return folder
