"""Writes polygons as GeoPackage (with style and comments inside), GeoParquet, GeoJSON and FlatGeobuf.

The same content gives the same bytes: dates inside files are fixed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import geopandas
import pandas as pd
import pyogrio
from numpy.typing import NDArray
from pyproj import CRS

from landslip._version import __version__
from landslip.files import atomic_path

DATE = "2000-01-01T00:00:00.000Z"
"""Date that is written into files instead of the present one."""

BATCH = 20_000
"""Features held at a time when a layer is copied."""

_STYLES = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT CURRENT_TIMESTAMP)
"""
"""As QGIS makes it, so that QGIS finds it."""

_COLUMNS = """
CREATE TABLE IF NOT EXISTS gpkg_data_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT, mime_type TEXT,
  constraint_name TEXT, CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name))
"""
"""OGC GeoPackage 1.3, annex F.9 (schema extension): where comments on columns belong."""

_EXTENSIONS = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))
"""


@dataclass(frozen=True)
class Layer:
    """Polygons with attributes.

    Parameters
    ----------
    name
        Name of the layer in a GeoPackage.
    shapes
        ``(n,)`` polygons.
    table
        Attributes, n rows.
    crs
        CRS of the polygons.
    comments
        Column -> meaning with unit; those of columns that are not there are not written.
    style
        QML for QGIS; empty for none.
    kind
        Type of the geometries; single polygons are stored as ``MultiPolygon`` where that is asked for.
    """

    name: str
    shapes: NDArray[Any]
    table: pd.DataFrame
    crs: CRS
    comments: Mapping[str, str] = field(default_factory=dict)
    style: str = ""
    kind: Literal["Polygon", "MultiPolygon"] = "Polygon"

    def frame(self) -> Any:  # noqa: ANN401 - GeoDataFrame, untyped
        """Return a GeoDataFrame."""
        return geopandas.GeoDataFrame(self.table, geometry=list(self.shapes), crs=self.crs)


def write_geopackage(path: Path, layers: Iterable[Layer]) -> None:
    """Write layers with their styles and column comments into one GeoPackage, atomically.

    Parameters
    ----------
    path
        The file.
    layers
        Taken one at a time; one of a name that was there before is added to that layer.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    heads: dict[str, Layer] = {}
    with atomic_path(path) as temporary:
        with _fixed_date():
            for layer in layers:
                pyogrio.write_dataframe(
                    layer.frame(),
                    temporary,
                    layer=layer.name,
                    driver="GPKG",
                    geometry_type=layer.kind,
                    promote_to_multi=layer.kind == "MultiPolygon",
                    append=bool(heads),
                    layer_metadata={"landslip": __version__} if layer.name not in heads else None,
                    # 1.3: what the GDAL of long-lived distributions reads without a warning
                    dataset_options={"VERSION": "1.3"} if not heads else None,
                )
                heads.setdefault(layer.name, layer)
        with closing(sqlite3.connect(temporary)) as database, database:
            _add_styles(database, list(heads.values()))
            _add_comments(database, list(heads.values()))
        with closing(sqlite3.connect(temporary)) as database:
            database.execute("VACUUM")


def write_polygons(path: Path, layer: Layer) -> None:
    """Write one layer; the suffix decides: .parquet, .geojson (in WGS 84, RFC 7946), .fgb.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    frame = layer.frame()
    with atomic_path(path) as temporary, _fixed_date():
        if path.suffix == ".parquet":
            frame.to_parquet(temporary, index=False, write_covering_bbox=False)
        elif path.suffix == ".geojson":
            options = {"RFC7946": "YES", "COORDINATE_PRECISION": "7", "WRITE_NAME": "NO"}
            pyogrio.write_dataframe(
                frame.to_crs(4326), temporary, driver="GeoJSON", geometry_type="Polygon", layer_options=options
            )
        else:
            pyogrio.write_dataframe(frame, temporary, layer=layer.name, driver="FlatGeobuf", geometry_type="Polygon")


def geopackage_to_parquet(source: Path, layer: str, target: Path) -> None:
    """Copy a layer of a GeoPackage into a GeoParquet 1.0 file, batch by batch, atomically.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with (
        atomic_path(target) as temporary,
        pyogrio.open_arrow(source, layer=layer, batch_size=BATCH, use_pyarrow=True) as (meta, reader),
    ):
        column = meta["geometry_name"] or "wkb_geometry"
        names = ["geometry" if name == column else name for name in reader.schema.names]
        geo = {
            "version": "1.0.0",
            "primary_column": "geometry",
            "columns": {
                "geometry": {
                    "encoding": "WKB",
                    "geometry_types": [meta["geometry_type"]],
                    "crs": CRS.from_user_input(meta["crs"]).to_json_dict(),
                }
            },
        }
        fields = [pa.field(name, field.type) for name, field in zip(names, reader.schema, strict=True)]
        schema = pa.schema(fields, metadata={"geo": json.dumps(geo)})
        with pq.ParquetWriter(temporary, schema) as writer:
            for batch in reader:
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))


def _add_styles(database: sqlite3.Connection, layers: Sequence[Layer]) -> None:
    styled = [layer for layer in layers if layer.style]
    if not styled:
        return
    database.execute(_STYLES)
    for layer in styled:
        geometry = database.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer.name,)
        ).fetchone()[0]
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
            "styleQML, styleSLD, useAsDefault, description, owner, ui, update_time) "
            "VALUES ('', '', ?, ?, 'landslip', ?, '', 1, 'made by landslip', '', NULL, ?)",
            (layer.name, geometry, layer.style, DATE),
        )
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?, 0)",
        (DATE,),
    )


def _add_comments(database: sqlite3.Connection, layers: Sequence[Layer]) -> None:
    commented = [
        (layer.name, column, layer.comments[column])
        for layer in layers
        for column in map(str, layer.table.columns)
        if column in layer.comments
    ]
    if not commented:
        return
    database.execute(_COLUMNS)
    database.executemany(
        "INSERT INTO gpkg_data_columns (table_name, column_name, description) VALUES (?, ?, ?)", commented
    )
    database.execute(_EXTENSIONS)
    database.execute(
        "INSERT INTO gpkg_extensions VALUES ('gpkg_data_columns', NULL, 'gpkg_schema', "
        "'http://www.geopackage.org/spec121/#extension_schema', 'read-write')"
    )


@contextmanager
def _fixed_date() -> Iterator[None]:
    name = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: DATE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})
