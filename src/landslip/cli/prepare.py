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
    out: Annotated[Path | None, typer.Option("--out", help="File to write (.npz).", show_default=False)] = None,
    chips: Annotated[
        Path | None,
        typer.Option("--chips", help="Folder to write a scene's tiles to as GeoTIFFs.", show_default=False),
    ] = None,
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
    """Split a patch set or scene, build its layers and object means, and write them as tiles ready for training.

    Bounds, scale of the objects and statistics come from training patches alone; objects stay inside patches. With
    --chips other programs get the tiles of a scene too: an image and a mask each, and chips.json with their parts.
    """
    with session(quiet=quiet, debug=debug, as_json=json) as console:
        if out is None and chips is None:
            message = "give --out FILE.npz, --chips FOLDER, or both"
            raise typer.BadParameter(message)
        if out is not None and out.suffix != ".npz":
            message = f"{out}: must end in .npz"
            raise typer.BadParameter(message)
        if out is not None and out == chips:
            message = f"{out}: --out and --chips cannot be the same; give two names"
            raise typer.BadParameter(message)
        from landslip.data.chip_list import check_chips, write_chips
        from landslip.files import check_place, keep_inputs
        from landslip.study.single import count_tiles, prepare_tiles, tiles_config

        wanted = tuple(name.strip() for name in layers.split(",")) if layers else ()
        settings = tiles_config(patches, wanted, config)
        if out is not None:
            keep_inputs([out], [patches])
            check_place(out)
        if chips is not None:
            check_chips(chips, settings.data.kind)
            check_place(chips)
        tiles = prepare_tiles(settings, objects=True, progress=console.progress).tiles
        if out is not None:
            tiles.save(out)
        if chips is not None:
            write_chips(tiles, chips, progress=console.progress)
        counts = count_tiles(tiles)
        places = {name: str(path) for name, path in (("out", out), ("chips", chips)) if path is not None}
        content = {**places, "layers": list(tiles.layers), "prevalence": tiles.prevalence(), **counts}
        words = ", ".join(f"{count} {part}" for part, count in counts.items())
        console.result(content, f"{', '.join(places.values())}: {words} tiles of {', '.join(tiles.layers)}")
