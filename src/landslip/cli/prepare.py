"""``landslip prepare``: tiles with everything computed, so that training needs PyTorch alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, Quiet


def command(
    patches: Annotated[
        Path,
        typer.Argument(
            help="Landslide4Sense folder (img/, mask/), .npz file, folder of GeoTIFF chips, or a scene folder.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write (.npz).", show_default=False)],
    layers: Annotated[
        str | None,
        typer.Option("--layers", help="Layers, as blue,green,red,slope,ndvi_obj; default all, with object means."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings (TOML) with [split], [objects] and [data].")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    json: Json = False,
) -> None:
    """Split a patch set, build its layers and object means, and write them as tiles ready for training.

    Bounds, scale of the objects and statistics come from training patches alone; objects stay inside patches.
    """
    with session(quiet=quiet, debug=debug, as_json=json) as console:
        if out.suffix != ".npz":
            message = f"{out}: must end in .npz"
            raise typer.BadParameter(message)
        from landslip.study.single import count_tiles, prepare_tiles, tiles_config

        wanted = tuple(name.strip() for name in layers.split(",")) if layers else ()
        tiles = prepare_tiles(tiles_config(patches, wanted, config), objects=True, progress=console.progress).tiles
        tiles.save(out)
        counts = count_tiles(tiles)
        content = {"out": str(out), "layers": list(tiles.layers), "prevalence": tiles.prevalence(), **counts}
        words = ", ".join(f"{count} {part}" for part, count in counts.items())
        console.result(content, f"{out}: {words} tiles of {', '.join(tiles.layers)}")
