"""``landslip segment``: multiresolution segmentation of a scene or any raster into objects."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from landslip.cli.console import session
from landslip.cli.many import cluster_at, tell
from landslip.cli.options import Dask, Debug, Json, Quiet, Resume
from landslip.wording import counted


class Format(StrEnum):
    """What is written of each of several scenes."""

    tif = "tif"
    gpkg = "gpkg"
    parquet = "parquet"


def command(
    scene: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE...",
            help="Scene folder, or any raster with a coordinate system; or patterns, text files (a path per line), "
            "STAC item collections of several.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Labels (.tif), or polygons with their table (.gpkg, .parquet); of several scenes their folder.",
            show_default=False,
        ),
    ],
    scale: Annotated[
        str, typer.Option("--scale", help="Size of the objects, greater than 0; auto: chosen from the data.")
    ] = "auto",
    layers: Annotated[
        str | None, typer.Option("--layers", help="Layers or bands, as blue,green,red; default the visible and nir.")
    ] = None,
    color: Annotated[float, typer.Option("--color", help="Weight of colour against shape, 0 to 1.")] = 0.9,
    compactness: Annotated[
        float, typer.Option("--compactness", help="Weight of compactness against smoothness, 0 to 1.")
    ] = 0.5,
    band_weights: Annotated[
        str | None, typer.Option("--band-weights", help="One weight per layer, as 1,1,2; default equal, 1 in all.")
    ] = None,
    inventory: Annotated[
        Path | None,
        typer.Option("--inventory", help="Polygons that auto fits the objects to; default the scene's own."),
    ] = None,
    min_size: Annotated[
        int, typer.Option("--min-size", help="Objects of fewer pixels join a neighbour in the end.")
    ] = 1,
    memory: Annotated[float, typer.Option("--memory", help="Memory that the work may take, in GiB.")] = 4.0,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Threads; the result is the same for any number.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Take values as they are, not mapped from percentiles 2 and 98 to 0 and 255.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw the curves of --scale auto (.png, .pdf, .svg).")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="What is written of each of several scenes.")
    ] = Format.tif,
    resume: Resume = False,
    dask: Dask = None,
    quiet: Quiet = False,
    debug: Debug = False,
    json: Json = False,
) -> None:
    """Segment a scene or a raster into objects (multiresolution segmentation, Baatz & Schäpe 2000).

    With --scale auto the scale fits the inventory's polygons, or, without any, balances the variance within
    objects against how alike neighbours are. The result is the same for any memory and any number of threads.
    """
    idle = "--figure" if figure is not None else "--inventory" if inventory is not None else ""
    if idle and scale != "auto":
        message = f"{idle} belongs to --scale auto; leave it out with a given scale"
        raise typer.BadParameter(message)
    with session(quiet=quiet, debug=debug, as_json=json) as console:
        from landslip.objects.command import Request, run
        from landslip.objects.many import segment_scenes
        from landslip.scene.listing import list_scenes

        listing = list_scenes(scene)
        request = Request(
            listing.paths[0],
            out,
            _scale(scale),
            layers=tuple(name.strip() for name in layers.split(",")) if layers is not None else (),
            color=color,
            compactness=compactness,
            band_weights=_numbers(band_weights),
            inventory=inventory,
            min_size=min_size,
            threads=threads,
            memory_gib=memory,
            stretch=not raw,
            figure=figure,
            resume=resume,
        )
        if listing.several or dask is not None:
            if figure is not None:
                message = "--figure draws the curves of one scene; leave it out for several or with --dask"
                raise typer.BadParameter(message)
            scenes = listing.named(out, "objects")
            with cluster_at(dask) as cluster:
                done = segment_scenes(
                    request, scenes, out, f".{format_.value}", cluster=cluster, progress=console.progress
                )
            tell(console, "segmentations", done)
            return
        content = run(request, progress=console.progress)
        text = f"{out}: {counted(content['objects'], 'object', spec=',')} at scale {content['scale']:g} of "
        text += ", ".join(content["layers"])
        console.result(content, text)


def _scale(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        number = float(text)
    except ValueError as error:
        message = f"--scale {text!r} is neither a number nor auto"
        raise typer.BadParameter(message) from error
    if not number > 0:
        message = f"--scale {text} must be greater than 0"
        raise typer.BadParameter(message)
    return number


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        message = f"--band-weights {text!r} must be numbers separated by commas"
        raise typer.BadParameter(message) from error
