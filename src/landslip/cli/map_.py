"""``landslip map``: a trained run and scenes in, landslides on a map out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landslip.cli.console import session
from landslip.cli.many import cluster_at, tell
from landslip.cli.options import Dask, Debug, Json, OutFolder, Quiet, Resume, TestTime

if TYPE_CHECKING:
    from landslip.mapping.config import MapConfig

WHAT, FILTERS, HOW = "What becomes a landslide", "Filters", "How it is computed"


class Uncertainty(StrEnum):
    """Kinds of the second band."""

    none = "none"
    entropy = "entropy"
    disagreement = "disagreement"


class Precision(StrEnum):
    """Number formats of the forward pass."""

    auto = "auto"
    float32 = "float32"
    bf16 = "bf16"


class Format(StrEnum):
    """Vector formats."""

    gpkg = "gpkg"
    parquet = "parquet"
    geojson = "geojson"
    fgb = "fgb"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained run.")],
    scene: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE...",
            help="Scene folders; or patterns, text files (a path per line), STAC item collections. Several: one map "
            "each, in folders of their names.",
        ),
    ],
    out: OutFolder,
    ensemble: Annotated[
        list[Path] | None, typer.Option("--ensemble", metavar="RUN", help="Another run to average with; repeat.")
    ] = None,
    resume: Resume = False,
    dask: Dask = None,
    config: Annotated[Path | None, typer.Option("--config", help="TOML with all settings; options win.")] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Probability of a landslide pixel.", show_default="the model's")
    ] = None,
    min_area: Annotated[
        float | None, typer.Option("--min-area", metavar="M2", help="Minimum mapping unit.", show_default="400")
    ] = None,
    fill_holes: Annotated[
        float | None, typer.Option("--fill-holes", metavar="M2", help="Fill smaller holes.", show_default="400")
    ] = None,
    simplify: Annotated[
        float | None, typer.Option("--simplify", metavar="M", help="Simplify outlines; 0: pixel edges.")
    ] = None,
    refine: Annotated[
        bool | None, typer.Option("--refine/--no-refine", help="Decide by segmentation object, not by pixel.")
    ] = None,
    objects: Annotated[
        Path | None, typer.Option("--objects", help="Label raster of 'landslip segment' for --refine.")
    ] = None,
    split: Annotated[
        bool | None, typer.Option("--split/--no-split", help="Split landslides that run to several toes.")
    ] = None,
    min_slope: Annotated[
        float | None, typer.Option("--min-slope", metavar="DEG", help="Leave out below this mean slope.")
    ] = None,
    water: Annotated[Path | None, typer.Option("--water", help="Raster or polygons of water to leave out.")] = None,
    land_cover: Annotated[Path | None, typer.Option("--land-cover", help="Raster of land-cover classes.")] = None,
    exclude_class: Annotated[
        list[int] | None, typer.Option("--exclude-class", help="Class without landslides; repeat.")
    ] = None,
    variants: TestTime = None,
    uncertainty: Annotated[
        Uncertainty | None, typer.Option("--uncertainty", help="Second band (bits).", show_default="none")
    ] = None,
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="Vector format beside GeoPackage; repeat.")
    ] = None,
    density_cell: Annotated[
        float | None, typer.Option("--density-cell", metavar="M", help="Cell of the density.", show_default="1000")
    ] = None,
    catchments: Annotated[Path | None, typer.Option("--catchments", help="Polygons for a density table.")] = None,
    page: Annotated[bool | None, typer.Option("--page/--no-page", help="Write map.html and quicklook.png.")] = None,
    tile: Annotated[int | None, typer.Option("--tile", help="Window in pixels.", show_default="128")] = None,
    overlap: Annotated[
        int | None, typer.Option("--overlap", help="Pixels that windows share.", show_default="32")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Windows at a time.", show_default="16")] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.", show_default="auto")
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="Of the forward pass.", show_default="auto")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    as_json: Json = False,
) -> None:
    """Map landslides: probability.tif, landslides.gpkg, map.html and map.json for each scene."""
    with session(quiet=quiet, debug=debug, as_json=as_json) as console:
        given: dict[str, dict[str, Any]] = {
            "predict": {
                "tile": tile, "overlap": overlap, "batch": batch, "device": device, "precision": precision,
                "variants": variants, "uncertainty": uncertainty,
            },
            "polygons": {
                "threshold": threshold, "min_area_m2": min_area, "fill_holes_m2": fill_holes,
                "simplify_m": simplify, "refine": _refine(refine), "objects": objects, "split": split,
            },
            "filters": {
                "min_slope_deg": min_slope, "water": water, "land_cover": land_cover,
                "exclude_classes": exclude_class or None,
            },
            "output": {
                "formats": formats or None, "density_cell_m": density_cell, "catchments": catchments, "page": page,
            },
        }  # fmt: skip
        settings = _settings(config, given)
        from landslip.mapping.many import map_scenes
        from landslip.mapping.run import map_scene
        from landslip.mapping.spread import Workers, members_of, run_folders
        from landslip.scene.listing import list_scenes
        from landslip.scene.store import Scene

        runs = run_folders([run, *(ensemble or [])])
        members = members_of(runs)
        _refuse_repeated([run, *(ensemble or [])])
        listing = list_scenes(scene)
        scenes = listing.named(out, "maps")
        only = None if listing.several else Scene.open(listing.paths[0])
        with cluster_at(dask) as cluster:
            if only is not None:
                workers = Workers(cluster, runs) if cluster else None
                result = map_scene(
                    members, only, out, settings, resume=resume, workers=workers, progress=console.progress
                )
                console.result(result.content, f"{result.folder}: {result.summary}")
                return
            maps = map_scenes(runs, scenes, out, settings, resume=resume, cluster=cluster, progress=console.progress)
        tell(console, "maps", maps)


def _refine(wanted: bool | None) -> str | None:
    return None if wanted is None else "objects" if wanted else "none"


def _settings(path: Path | None, given: dict[str, dict[str, Any]]) -> MapConfig:
    """Read the settings of the file, overruled by the options that were given."""
    from landslip.config import read_toml
    from landslip.mapping.config import MapConfig

    content: dict[str, Any] = {}
    if path is not None:
        MapConfig.from_toml(path)  # so that a mistake in the file is told with the file's name
        content = read_toml(path)
    for part, values in given.items():
        chosen = {name: value for name, value in values.items() if value is not None}
        if chosen:
            content[part] = {**content.get(part, {}), **chosen}
    return MapConfig.from_dict(content, where="map settings")


def _refuse_repeated(runs: list[Path]) -> None:
    from landslip.errors import InputError

    places = [path.resolve() for path in runs]
    twice = next((path for path, place in zip(runs, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        message = f"{twice}: the run is in the ensemble twice, which adds nothing; take another, or leave it out"
        raise InputError(message)
