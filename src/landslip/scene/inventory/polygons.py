"""Reading polygons from vector files: which layer, which encoding, which CRS; polygons or a clear refusal."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pyogrio.errors
import shapely
from numpy.typing import NDArray
from pyogrio import get_gdal_config_option, set_gdal_config_options

from landslip.errors import CRSMismatchError, InputError
from landslip.files import require_file
from landslip.files.places import address_of, nearby
from landslip.grid import read_crs
from landslip.wording import counted

POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)

_PARQUET = {".parquet", ".geoparquet", ".pq"}
_LONE_PARTS = {".dbf": ".shp", ".shx": ".shp", ".prj": ".shp", ".cpg": ".shp"}


def read_polygons(
    path: str | os.PathLike[str], *, what: str, layer: str | None = None, encoding: str | None = None
) -> geopandas.GeoDataFrame:
    """Read a vector file whose features are areas.

    Parameters
    ----------
    path
        Shapefile (also zipped), GeoPackage, GeoJSON, FlatGeobuf, GeoParquet, or whatever GDAL reads.
    what
        The word for messages: ``"inventory"``, ``"mapped extent"``.
    layer
        Name of the layer, for files with several.
    encoding
        Encoding of the attributes, where the file states none or a wrong one.

    Returns
    -------
    geopandas.GeoDataFrame
        All features, in the file's CRS and order, geometries possibly missing, empty or invalid.

    Raises
    ------
    MissingInputError
        No such file.
    InputError
        Not a vector file, damaged, several layers and none chosen, no such layer, no features,
        attributes in another encoding, or points and lines.
    CRSMismatchError
        No CRS.
    """
    if address_of(path):
        with nearby(require_file(path, what=what), what=what, beside=_beside(path)) as local:
            return read_polygons(local, what=what, layer=layer, encoding=encoding)
    path = require_file(path, what=what)
    if path.suffix.lower() in _LONE_PARTS:
        message = f"{path}: is one part of a shapefile; give its .shp file"
        raise InputError(message)
    frame = _read_parquet(path, what) if path.suffix.lower() in _PARQUET else _read_gdal(path, what, layer, encoding)
    if len(frame) == 0:
        message = f"{path}: holds no features; give the {what} that has the polygons"
        raise InputError(message)
    if frame.crs is None:
        message = (
            f"{path}: the {what} has no coordinate reference system; assign the right one "
            "(ogr2ogr -a_srs EPSG:…, or put the .prj file beside the .shp)"
        )
        raise CRSMismatchError(message)
    read_crs(frame.crs, what=str(path))
    _require_areas(path, what, np.asarray(frame.geometry.values))
    return frame


def _beside(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Suffixes of the other files of a shapefile."""
    return tuple(_LONE_PARTS) if os.fspath(path).lower().endswith(".shp") else ()


def _read_gdal(path: Path, what: str, layer: str | None, encoding: str | None) -> geopandas.GeoDataFrame:
    with _one_line(path, what, encoding), _unlimited_json():
        if encoding is not None:
            codecs.lookup(encoding)  # GDAL takes a name that it does not know for no name
        chosen = _choose_layer(path, what, layer, pyogrio.list_layers(path))
        frame = pyogrio.read_dataframe(path, layer=chosen, encoding=encoding)
    if not isinstance(frame, geopandas.GeoDataFrame):
        message = f"{path}: holds a table without geometries; give the {what} as polygons"
        raise InputError(message)
    return frame


def _read_parquet(path: Path, what: str) -> geopandas.GeoDataFrame:
    import pyarrow.lib

    try:
        return geopandas.read_parquet(path)
    except (ValueError, pyarrow.lib.ArrowException, OSError) as error:
        message = (
            f"{path}: not a readable GeoParquet file ({what}): {first_line(error)}; write it again with geometries"
        )
        raise InputError(message) from error


@contextmanager
def _one_line(path: Path, what: str, encoding: str | None) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        option = "--inventory-encoding, or " if what == "inventory" else ""
        message = (
            f"{path}: attributes are not readable as {error.encoding}; give their encoding "
            f"({option}a .cpg file beside the .shp with its name, such as CP932)"
        )
        raise InputError(message) from error
    except LookupError as error:
        message = f"{path}: encoding {encoding!r} is not known; give one such as UTF-8, ISO-8859-1, CP932"
        raise InputError(message) from error
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        message = f"{path}: not a readable vector file ({what}): {first_line(error)}"
        raise InputError(message) from error
    except (pyogrio.errors.FeatureError, pyogrio.errors.GeometryError, shapely.errors.GEOSException) as error:
        message = f"{path}: a feature cannot be read, the {what} is damaged ({first_line(error)}); write it again"
        raise InputError(message) from error


@contextmanager
def _unlimited_json() -> Iterator[None]:
    """Let GDAL read GeoJSON features of any size: a single polygon may have millions of vertices."""
    name = "OGR_GEOJSON_MAX_OBJ_SIZE"
    before = get_gdal_config_option(name)
    set_gdal_config_options({name: "0"})
    try:
        yield
    finally:
        set_gdal_config_options({name: before})


def _choose_layer(path: Path, what: str, layer: str | None, listed: NDArray[np.object_]) -> str | None:
    names = [str(name) for name, _ in listed]
    shown = ", ".join(names) or "none"
    if layer is not None:
        if layer not in names:
            message = f"{path}: has no layer {layer!r}; its layers are: {shown}"
            raise InputError(message)
        return layer
    with_geometry = [str(name) for name, kind in listed if kind is not None]
    if not names:
        message = f"{path}: holds no layers; give the {what} that has the polygons"
        raise InputError(message)
    areas = [str(name) for name, kind in listed if kind is not None and "Polygon" in str(kind)]
    candidates = areas if len(areas) == 1 else with_geometry
    if len(candidates) > 1:
        message = f"{path}: has several layers ({shown}); {_remedy(what)}"
        raise InputError(message)
    return candidates[0] if candidates else names[0]


def _remedy(what: str) -> str:
    alone = "write the one that is meant to a file of its own (ogr2ogr OUT.gpkg IN LAYER)"
    return f"choose with landslip scene --inventory-layer, or {alone}" if what == "inventory" else alone


def _require_areas(path: Path, what: str, geometries: NDArray[np.object_]) -> None:
    kinds = shapely.get_type_id(geometries)
    present = ~shapely.is_missing(geometries) & ~shapely.is_empty(geometries)
    if not present.any():
        features = counted(len(kinds), "feature has an empty geometry", "features have empty geometries")
        message = f"{path}: {features}; give the {what} that has the polygons"
        raise InputError(message)
    collections = kinds == shapely.GeometryType.GEOMETRYCOLLECTION
    other = present & ~np.isin(kinds, POLYGONS) & ~collections
    if not other.any():
        return
    points = np.isin(kinds[other], (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT))
    kind = "points" if points.all() else "points and lines" if points.any() else "lines"
    remedy = {
        "points": "give the outlines, or buffer the points by a known radius (gdf.buffer, ST_Buffer)",
        "lines": "close the lines into polygons (QGIS: Lines to polygons)",
        "points and lines": "keep the polygons only, or turn the others into polygons",
    }[kind]
    share = f"{int(other.sum())} of {counted(int(present.sum()), 'feature')}"
    found = f"is a {kind.removesuffix('s')}" if other.sum() == 1 else f"are {kind}"
    message = f"{path}: {share} {found}, and the {what} must be areas; {remedy}"
    raise InputError(message)


def first_line(error: BaseException) -> str:
    """Return what GDAL says of a file, without its advice on drivers."""
    lines = str(error).partition("; It might help")[0].splitlines()
    return lines[0] if lines else type(error).__name__
