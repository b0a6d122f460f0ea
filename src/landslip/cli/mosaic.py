"""``landslip mosaic``: finished maps in, one map out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, OutFolder, Quiet


class Format(StrEnum):
    """Vector formats."""

    gpkg = "gpkg"
    parquet = "parquet"


def command(
    maps: Annotated[
        list[Path], typer.Argument(metavar="MAP...", help="Folders of finished maps, or a folder that holds them.")
    ],
    out: OutFolder,
    crs: Annotated[
        str, typer.Option("--crs", help="CRS of the polygons; auto: that of the maps, else equal-area.")
    ] = "auto",
    min_overlap: Annotated[
        float,
        typer.Option("--min-overlap", help="Share of the smaller polygon from which two are one landslide."),
    ] = 0.1,
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="Vector format beside GeoPackage; repeat.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    as_json: Json = False,
) -> None:
    """Join finished maps: one set of landslides, a virtual probability raster, a STAC item collection."""
    with session(quiet=quiet, debug=debug, as_json=as_json) as console:
        from landslip.mapping.mosaic import MosaicConfig, mosaic_maps

        given = {"crs": crs, "min_overlap": min_overlap, "formats": formats or ("gpkg",)}
        config = MosaicConfig.from_dict(given, where="options")
        result = mosaic_maps(maps, out, config, progress=console.progress)
        console.result(result.content, f"{result.folder}: {result.summary}")
