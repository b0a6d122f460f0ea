"""Small inputs as archives and users have them, written by the tests themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from affine import Affine
from pyproj import CRS

from landslip.grid import Grid

UTM = CRS.from_epsg(32654)
WEST, NORTH = 500_000.0, 4_730_000.0
SIZE = 96
NUMBERS = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08"}


def grid_of(
    rows: int = SIZE, cols: int = SIZE, *, west: float = WEST, north: float = NORTH, step: float = 10.0
) -> Grid:
    return Grid((rows, cols), Affine(step, 0, west, 0, -step, north), UTM)


GRID = grid_of()


def numbers_of(seed: int, shape: tuple[int, int] = GRID.shape) -> np.ndarray:
    """Digital numbers of plausible land, 1500 to 2500."""
    return np.random.default_rng(seed).integers(1500, 2500, shape).astype(np.uint16)


def write_raster(path: Path, pixels: np.ndarray, grid: Grid = GRID, **options: Any) -> Path:
    """Write ``(rows, cols)`` or ``(bands, rows, cols)``; options: nodata, tags, names, scale, offset, driver, crs."""
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": options.get("driver", "GTiff"),
        "count": len(pixels),
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "dtype": pixels.dtype.name,
        "crs": options.get("crs", grid.crs.to_wkt()),
        "transform": options.get("transform", grid.transform),
        "nodata": options.get("nodata"),
    } | options.get("creation", {})
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
        for index, name in enumerate(options.get("names", ()), start=1):
            dataset.set_band_description(index, name)
        if "tags" in options:
            dataset.update_tags(**options["tags"])
        if "scale" in options:
            dataset.scales = [options["scale"]] * len(pixels)
            dataset.offsets = [options.get("offset", 0.0)] * len(pixels)
    return path


TAGS = {"BOA_ADD_OFFSET": "-1000", "QUANTIFICATION_VALUE": "10000"}


def write_image(folder: Path, grid: Grid = GRID, *, bands: tuple[str, ...] = tuple(NUMBERS), **options: Any) -> Path:
    """Write one GeoTIFF per band, named B02.tif …, with offset and quantification in its tags."""
    options = {"tags": TAGS} | options
    for seed, name in enumerate(bands):
        write_raster(folder / f"{NUMBERS[name]}.tif", numbers_of(seed, grid.shape), grid, **options)
    return folder


def write_dem(path: Path, grid: Grid = GRID, *, margin: int = 3, **options: Any) -> Path:
    """Write a tilted plane at 30 m that reaches beyond the scene."""
    rows, cols = grid.rows // 3 + 2 * margin, grid.cols // 3 + 2 * margin
    wider = Grid(
        (rows, cols),
        Affine(30, 0, grid.transform.c - 30 * margin, 0, -30, grid.transform.f + 30 * margin),
        grid.crs,
    )
    heights = 500 + 3.0 * np.arange(cols)[None, :] + 2.0 * np.arange(rows)[:, None]
    return write_raster(path, heights.astype(np.float32), wider, **options)


def write_polygons(path: Path, boxes: list[tuple[float, float, float, float]], crs: Any = UTM, **options: Any) -> Path:
    """Write rectangles, given in pixels of the scene: left, top, right, bottom."""
    shapes = [
        shapely.box(WEST + 10 * left, NORTH - 10 * bottom, WEST + 10 * right, NORTH - 10 * top)
        for left, top, right, bottom in boxes
    ]
    geopandas.GeoDataFrame({"name": [f"slide {i}" for i in range(len(shapes))]}, geometry=shapes, crs=crs).to_file(
        path, **options
    )
    return path


PRODUCT = "S2A_MSIL2A_20230925T012701_N0509_R074_T54TWN_20230925T040000"
GRANULE = "L2A_T54TWN_A043134_20230925T012704"
XML = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
<n1:General_Info><Product_Info>
<PRODUCT_START_TIME>2023-09-25T01:27:01.024Z</PRODUCT_START_TIME>
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
</Product_Info><Product_Image_Characteristics><QUANTIFICATION_VALUES_LIST>
<BOA_QUANTIFICATION_VALUE unit="none">{quantification}</BOA_QUANTIFICATION_VALUE>
</QUANTIFICATION_VALUES_LIST><BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST>
</Product_Image_Characteristics></n1:General_Info></n1:Level-2A_User_Product>
"""


def metadata_xml(*, baseline: str = "05.09", quantification: str = "10000", offset: int | None = -1000) -> str:
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{i}">{offset}</BOA_ADD_OFFSET>' for i in range(13))
    return XML.format(baseline=baseline, quantification=quantification, offsets="" if offset is None else offsets)


def write_safe(
    folder: Path, grid: Grid = GRID, *, name: str = PRODUCT, xml: str | None = metadata_xml(), classes: Any = None
) -> Path:
    """Write a product folder: 10 m bands, B05 and B11 and the classification at 20 m, metadata."""
    root = folder / f"{name}.SAFE"
    level = "L1C" if "MSIL1C" in name else "L2A"
    granule = root / "GRANULE" / GRANULE.replace("L2A", level) / "IMG_DATA"
    stem = "T54TWN_20230925T012701"
    coarse = grid_of(grid.rows // 2, grid.cols // 2, west=grid.transform.c, north=grid.transform.f, step=20)
    places = {
        10: (granule / "R10m", "_10m") if level == "L2A" else (granule, ""),
        20: (granule / "R20m", "_20m") if level == "L2A" else (granule, ""),
    }
    jp2 = {"driver": "JP2OpenJPEG", "creation": {"QUALITY": "100", "REVERSIBLE": "YES"}}
    for seed, number in enumerate(("B02", "B03", "B04", "B08")):
        path = places[10][0] / f"{stem}_{number}{places[10][1]}.jp2"
        write_raster(path, numbers_of(seed, grid.shape), grid, **jp2)
    for seed, number in enumerate(("B05", "B11")):
        path = places[20][0] / f"{stem}_{number}{places[20][1]}.jp2"
        write_raster(path, numbers_of(10 + seed, coarse.shape), coarse, **jp2)
    if level == "L2A":
        found = np.full(coarse.shape, 4, np.uint8) if classes is None else classes
        write_raster(places[20][0] / f"{stem}_SCL_20m.jp2", found, coarse, **jp2)
    if xml is not None:
        (root / f"MTD_MSI{level}.xml").write_text(xml)
    return root
