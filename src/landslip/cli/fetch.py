"""``landslip fetch``: the clearest images around an event, elevation, and the scene made of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, OutFolder, Quiet


def command(
    event: Annotated[str, typer.Option("--event", help="Day of the event: 2018-09-06.", show_default=False)],
    out: OutFolder,
    bbox: Annotated[
        str | None, typer.Option("--bbox", help="Area in degrees: west,south,east,north.", show_default=False)
    ] = None,
    aoi: Annotated[
        str | None, typer.Option("--aoi", help="File with the polygon of the area, instead.", show_default=False)
    ] = None,
    inventory: Annotated[
        str | None, typer.Option("--inventory", help="Landslide polygons; --aoi is then the mapped area.")
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, help="Days before and after the event to choose images from.")
    ] = 90,
    max_cloud: Annotated[
        float, typer.Option("--max-cloud", min=0, max=100, help="Leave out what the catalogue gives as cloudier, in %.")
    ] = 80.0,
    pre: Annotated[bool, typer.Option("--pre/--no-pre", help="Also fetch an image from before the event.")] = True,
    dem: Annotated[
        list[str] | None, typer.Option("--dem", help="Elevation model that is here already. Repeat for several.")
    ] = None,
    allow_partial_dem: Annotated[
        bool, typer.Option("--allow-partial-dem", help="Accept elevation for under 90 % of the scene (coasts).")
    ] = False,
    stac: Annotated[str | None, typer.Option("--stac", help="STAC API; Earth Search where absent.")] = None,
    collection: Annotated[str, typer.Option("--collection", help="Its Sentinel-2 collection.")] = "sentinel-2-l2a",
    dem_collection: Annotated[
        str, typer.Option("--dem-collection", help="Its elevation collection.")
    ] = "cop-dem-glo-30",
    quiet: Quiet = False,
    debug: Debug = False,
    as_json: Json = False,
) -> None:
    """Find the clearest Sentinel-2 images before and after an event, and elevation, and make a scene of them.

    Only the parts of the files that show the area are read. After an interruption, run the same command
    again: what is here is kept.
    """
    names = ("event", "aoi", "inventory", "days", "max_cloud", "pre", "dem", "allow_partial_dem", "stac")
    local = locals()
    with session(quiet=quiet, debug=debug, as_json=as_json) as console:
        from landslip.scene.fetch import FetchConfig, fetch_scene, read_plan

        settings = {name: local[name] for name in (*names, "collection", "dem_collection") if local[name] is not None}
        if bbox is not None:
            settings["bbox"] = _numbers(bbox)
        config = FetchConfig.from_dict(settings, where="options")
        scene = fetch_scene(config, out, progress=console.progress)
        chosen = read_plan(out)
        result: dict[str, Any] = {
            "scene": str(scene.path),
            "rows": scene.grid.rows,
            "cols": scene.grid.cols,
            "layers": list(scene.layers),
            "chosen": chosen,
        }
        console.result(result, _in_words(result))


def _numbers(text: str) -> list[float]:
    from landslip.errors import ConfigError

    try:
        numbers = [float(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        message = f"--bbox: expected four numbers west,south,east,north in degrees, got {text!r}"
        raise ConfigError(message)
    return numbers


def _in_words(result: dict[str, Any]) -> str:
    lines = [f"{result['scene']}: {result['rows']} x {result['cols']} pixels, layers {', '.join(result['layers'])}"]
    for side, word in (("post", "after"), ("pre", "before")):
        if side in result["chosen"]:
            found = result["chosen"][side]
            clear = "" if found["clear"] is None else f", {100 * found['clear']:.0f} % of the area clear"
            considered = len(found["considered"])
            lines.append(f"{word} the event: {found['date']}{clear} (of {considered} passes looked at)")
    return "\n".join(lines)
