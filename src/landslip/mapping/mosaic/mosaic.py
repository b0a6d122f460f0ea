"""``landslip mosaic``: finished maps as one: landslides, virtual rasters over the probabilities, STAC items.

The maps themselves are neither changed nor copied. Memory follows one map and the overlaps, not their number.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
from pyproj import CRS

from landslip._version import __version__
from landslip.errors import CRSMismatchError, FormatError
from landslip.files import FORMAT, sha256, write_json, write_text
from landslip.files.outputs import output_folder
from landslip.files.places import absolute, gdal_name, nearby, refer
from landslip.grid import read_crs
from landslip.mapping.landslides.fields import COMMENTS
from landslip.mapping.mosaic.config import MosaicConfig
from landslip.mapping.mosaic.finished import FinishedMap, check_columns, open_maps
from landslip.mapping.mosaic.items import item_collection
from landslip.mapping.mosaic.merging import COMMENTS as MORE_COMMENTS
from landslip.mapping.mosaic.merging import PARTS, Merger
from landslip.mapping.mosaic.vrt import Source, vrt_text
from landslip.mapping.result import MAP_JSON
from landslip.mapping.show.style import landslide_style
from landslip.mapping.show.writing import BATCH, Layer, geopackage_to_parquet, write_geopackage
from landslip.progress import SILENT, Progress, Task
from landslip.wording import counted

log = logging.getLogger(__name__)

MOSAIC_JSON, ITEMS = "mosaic.json", "items.json"
GEOPACKAGE, PARQUET = "landslides.gpkg", "landslides.parquet"
LANDSLIDES, FOOTPRINTS = "landslides", "maps"

FOOTPRINT_COMMENTS = {
    "map": "name of the map",
    "dates": "days of the images after the event",
    "models": "runs that it was made with",
    "threshold": "probability from which pixels were landslide",
    "landslides": "landslides in this map",
    "mapped_m2": "ground that could be mapped [m²]",
    "unmapped_m2": "ground that could not [m²]",
}


@dataclass(frozen=True)
class MosaicResult:
    """A finished mosaic.

    Parameters
    ----------
    folder
        Where its files are.
    content
        What ``mosaic.json`` says.
    """

    folder: Path
    content: dict[str, Any]

    @property
    def summary(self) -> str:
        """What it holds, in a line."""
        counts = self.content["counts"]
        return (
            f"{counted(counts['landslides'], 'landslide')}, {counts['area_m2'] / 1e6:.3f} km², from "
            f"{counted(len(self.content['maps']), 'map')}; {counted(counts['joined'], 'was', 'were')} joined from "
            f"{counted(counts['joined_parts'], 'polygon')} of several maps"
        )


@dataclass
class _Tally:
    """What went into the mosaic."""

    counts: dict[str, Any] = field(
        default_factory=lambda: {"landslides": 0, "area_m2": 0.0, "joined": 0, "joined_parts": 0}
    )

    def add(self, frame: pd.DataFrame) -> None:
        joined = frame[PARTS] > 1
        self.counts["landslides"] += len(frame)
        self.counts["area_m2"] += float(frame["area_m2"].sum())
        self.counts["joined"] += int(joined.sum())
        self.counts["joined_parts"] += int(frame.loc[joined, PARTS].sum())


def mosaic_maps(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    config: MosaicConfig | None = None,
    *,
    progress: Progress = SILENT,
) -> MosaicResult:
    """Join finished maps.

    Parameters
    ----------
    folders
        Map folders, or folders whose sub-folders are maps; their order changes nothing.
    out
        Output folder or ``s3://`` address, complete when it holds ``mosaic.json``; a mosaic in it is replaced.
    config
        Settings.
    progress
        Shows the maps done.

    Raises
    ------
    MissingInputError, FormatError, InputError
        A map is missing, unfinished or damaged.
    CRSMismatchError
        The CRS that was asked for is not projected in metres.
    OutputError
        ``out`` cannot be written, or another process works on it.
    """
    config = config or MosaicConfig()
    maps = open_maps(folders)
    crs = choose_crs(maps, config.crs)
    place = Path(absolute(out))
    with output_folder(out, MOSAIC_JSON, replace=True) as folder:
        for old in (folder / MOSAIC_JSON, folder / PARQUET, *folder.glob("probability*.vrt")):
            old.unlink(missing_ok=True)  # the mark first: from here on the folder is no finished mosaic
        tally = _Tally()
        with progress.task("mosaic", len(maps)) as task:
            write_geopackage(folder / GEOPACKAGE, _layers(maps, crs, config, tally, task))
        if "parquet" in config.formats:
            geopackage_to_parquet(folder / GEOPACKAGE, LANDSLIDES, folder / PARQUET)
        rasters = _write_vrts(maps, folder, place)
        write_json(folder / ITEMS, item_collection(maps, place))
        undated = [one.name for one in maps if not one.dates.get("post")]
        if undated:
            log.warning(
                "%s without a date (%s …) left out of %s, whose items need one; build the scene of dated images",
                counted(len(undated), "map"), undated[0], ITEMS,
            )  # fmt: skip
        content = _content(maps, crs, config, tally, rasters)
        files = [GEOPACKAGE, *([PARQUET] if "parquet" in config.formats else []), *rasters, ITEMS]
        content |= {"files": {name: sha256(folder / name) for name in files}}
        write_json(folder / MOSAIC_JSON, content)
    return MosaicResult(place, content)


def choose_crs(maps: Sequence[FinishedMap], wanted: str) -> CRS:
    """Return the CRS of a mosaic.

    Raises
    ------
    CRSMismatchError
        ``wanted`` is not understood, or not projected in metres.
    """
    if wanted != "auto":
        crs = read_crs(wanted, what=f"--crs {wanted}")
        units = {axis.unit_name for axis in crs.axis_info[:2]}
        if not crs.is_projected or not units <= {"metre", "meter"}:
            message = f"--crs {wanted}: {crs.name} is not projected in metres; give such a one, or auto"
            raise CRSMismatchError(message)
        return crs
    first = maps[0].grid.crs
    if all(one.grid.crs == first for one in maps):
        return first
    longitude, latitude = _middle(maps)
    return CRS.from_proj4(f"+proj=laea +lat_0={latitude} +lon_0={longitude} +datum=WGS84 +units=m +no_defs")


def _middle(maps: Sequence[FinishedMap]) -> tuple[int, int]:
    """Longitude and latitude of the middle of all maps, in whole degrees."""
    boxes = np.radians([one.footprint_degrees()[1] for one in maps])
    east = np.where(boxes[:, 2] < boxes[:, 0], boxes[:, 2] + 2 * np.pi, boxes[:, 2])
    longitude, latitude = (boxes[:, 0] + east) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
    z = np.sin(latitude)
    middle = np.degrees([np.arctan2(y.sum(), x.sum()), np.arctan2(z.sum(), np.hypot(x.sum(), y.sum()))])
    return round(float(middle[0])), round(float(middle[1]))


def _layers(maps: Sequence[FinishedMap], crs: CRS, config: MosaicConfig, tally: _Tally, task: Task) -> Iterator[Layer]:
    """Yield the landslides in portions, then the footprints of the maps."""
    comments = COMMENTS | MORE_COMMENTS
    first = 1
    for frame in _portions(_landslides(maps, crs, config, task)):
        table = pd.DataFrame(frame.drop(columns=["geometry", "_map"]))
        table["id"] = np.arange(first, first + len(table), dtype=np.int64)
        first += len(table)
        tally.add(table)
        shapes = np.asarray(frame.geometry.values, object)
        yield Layer(LANDSLIDES, shapes, table, crs, comments, landslide_style(), "MultiPolygon")
    yield Layer(
        FOOTPRINTS,
        np.array([one.footprint(crs) for one in maps], object),
        _footprint_table(maps),
        crs,
        FOOTPRINT_COMMENTS,
        kind="MultiPolygon",
    )


def _landslides(
    maps: Sequence[FinishedMap], crs: CRS, config: MosaicConfig, task: Task
) -> Iterator[geopandas.GeoDataFrame]:
    merger = Merger(maps, crs, config.min_overlap)
    for number, one in enumerate(maps):
        yield from merger.add(number, _read(one))
        task.advance(note=one.name)


def _read(one: FinishedMap) -> geopandas.GeoDataFrame:
    try:
        with nearby(one.polygons, what="landslides") as file:
            frame = pyogrio.read_dataframe(file, layer=LANDSLIDES)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        message = f"{one.polygons}: not readable ({str(error).splitlines()[0]}); the map is damaged, make it again"
        raise FormatError(message) from error
    check_columns(list(frame.columns), one.polygons)
    return frame


def _portions(frames: Iterator[geopandas.GeoDataFrame]) -> Iterator[geopandas.GeoDataFrame]:
    """Put small frames together, so that the file is not opened for each of them."""
    waiting: list[geopandas.GeoDataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= BATCH:
            yield _together(waiting)
            waiting = []
    if waiting:
        yield _together(waiting)


def _together(frames: Sequence[geopandas.GeoDataFrame]) -> geopandas.GeoDataFrame:
    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    return geopandas.GeoDataFrame(pd.concat(filled, ignore_index=True), crs=filled[0].crs)


def _footprint_table(maps: Sequence[FinishedMap]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "map": [one.name for one in maps],
            "dates": [", ".join(one.dates.get("post", [])) for one in maps],
            "models": [", ".join(model["name"] for model in one.content["models"]) for one in maps],
            "threshold": [one.threshold for one in maps],
            "landslides": [int(one.content["counts"]["landslides"]) for one in maps],
            "mapped_m2": [float(one.content["areas_m2"]["mapped"]) for one in maps],
            "unmapped_m2": [float(sum(one.content["areas_m2"]["unmapped"].values())) for one in maps],
        }
    )


def _write_vrts(maps: Sequence[FinishedMap], folder: Path, place: Path) -> list[str]:
    """Write one VRT for each CRS and pixel size, and return their names."""
    groups: dict[tuple[str, tuple[float, float]], list[FinishedMap]] = {}
    for one in maps:
        groups.setdefault((one.grid.crs.to_wkt(), one.grid.resolution), []).append(one)
    names: list[str] = []
    for number, members in enumerate(groups.values(), start=1):
        name = "probability.vrt" if len(groups) == 1 else f"probability_{_label(members[0], number)}.vrt"
        while name in names:
            name = f"{name.removesuffix('.vrt')}_{number}.vrt"
        sources = [Source(*_named(one.probability, place), one.grid) for one in members]
        write_text(folder / name, vrt_text(sources, "landslide probability"))
        names.append(name)
    return names


def _named(raster: Path, place: Path) -> tuple[str, bool]:
    """Return how a VRT at ``place`` names a raster, and whether that is relative."""
    name, relative = refer(raster, place)
    return (name if relative else gdal_name(name)), relative


def _label(one: FinishedMap, number: int) -> str:
    epsg = one.grid.crs.to_epsg()
    return f"EPSG{epsg}" if epsg else f"crs{number}"


def _content(
    maps: Sequence[FinishedMap], crs: CRS, config: MosaicConfig, tally: _Tally, rasters: Sequence[str]
) -> dict[str, Any]:
    epsg = crs.to_epsg()
    return {
        "format": FORMAT,
        "kind": "mosaic",
        "version": __version__,
        "crs": f"EPSG:{epsg}" if epsg else crs.to_wkt(),
        "settings": config.to_dict(),
        "maps": [{"name": one.name, "checksum": sha256(one.folder / MAP_JSON)} for one in maps],
        "counts": tally.counts | {"area_m2": round(tally.counts["area_m2"], 1)},
        "rasters": list(rasters),
    }
