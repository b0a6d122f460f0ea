"""``landslip scene``: images, elevation and inventory on one grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landslip.cli.console import session
from landslip.cli.many import cluster_at, tell
from landslip.cli.options import Dask, Debug, Json, Quiet

if TYPE_CHECKING:
    from landslip.scene.config import SceneConfig

_SEVERAL = "Repeat for several."


def command(
    context: typer.Context,
    image: Annotated[
        list[str] | None,
        typer.Argument(
            help="Product folder (.SAFE) or archive (.zip), STAC item (file or URL), folder of band files, or band "
            "files. Several are merged."
        ),
    ] = None,
    dem: Annotated[
        list[str] | None, typer.Option("--dem", help=f"Elevation model, any CRS. {_SEVERAL}", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder.", show_default=False)] = None,
    batch: Annotated[
        Path | None, typer.Option("--batch", metavar="JOBS", help="TOML list of scenes to build, instead of one.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="With --batch: leave finished scenes as they are.")] = False,
    dask: Dask = None,
    inventory: Annotated[str | None, typer.Option("--inventory", help="Landslide polygons.")] = None,
    inventory_layer: Annotated[str | None, typer.Option("--inventory-layer", help="Layer of that file.")] = None,
    inventory_encoding: Annotated[
        str | None, typer.Option("--inventory-encoding", help="Encoding of its attributes: UTF-8, CP932 ...")
    ] = None,
    aoi: Annotated[
        str | None, typer.Option("--aoi", help="Polygon of the mapped area; outside it labels are unknown.")
    ] = None,
    pre: Annotated[list[str] | None, typer.Option("--pre", help=f"Image from before the event. {_SEVERAL}")] = None,
    crs: Annotated[
        str,
        typer.Option("--crs", help="CRS of the scene; auto: the image's, or its UTM zone where that is in degrees."),
    ] = "auto",
    resolution: Annotated[float, typer.Option("--resolution", min=0.1, help="Pixel edge in metres.")] = 10.0,
    bands: Annotated[
        str | None,
        typer.Option("--bands", help="Names of the bands of plain files in their order: blue,green,red,nir."),
    ] = None,
    extra_bands: Annotated[
        str | None, typer.Option("--extra-bands", help="20 m bands to add: re1,re2,re3,nira,swir1,swir2.")
    ] = None,
    offset: Annotated[
        float | None, typer.Option("--offset", help="Added to digital numbers, instead of what the metadata say.")
    ] = None,
    pre_offset: Annotated[
        float | None, typer.Option("--pre-offset", help="The same for --pre; --offset where absent.")
    ] = None,
    quantification: Annotated[
        float | None, typer.Option("--quantification", help="Divisor of digital numbers, instead of the metadata's.")
    ] = None,
    merge: Annotated[
        str, typer.Option("--merge", help="Several images of a place: first (valid pixel) or median.")
    ] = "first",
    mask_snow: Annotated[bool, typer.Option("--mask-snow", help="Leave out snow as clouds are.")] = False,
    dilate_clouds: Annotated[
        int, typer.Option("--dilate-clouds", min=0, help="Pixels by which clouds and shadows grow.")
    ] = 0,
    coregister: Annotated[
        bool, typer.Option("--coregister", help="Move the pre-event image by its estimated shift.")
    ] = False,
    sun: Annotated[
        str | None,
        typer.Option("--sun", help="Correct light and shade for this sun: azimuth,elevation in degrees (150,45)."),
    ] = None,
    pre_sun: Annotated[str | None, typer.Option("--pre-sun", help="The same for --pre.")] = None,
    z_unit: Annotated[str, typer.Option("--z-unit", help="Unit of the elevations: auto, m or ft.")] = "auto",
    dem_band: Annotated[
        str | None, typer.Option("--dem-band", help="Band of the elevation model, by number or name.")
    ] = None,
    allow_partial_dem: Annotated[
        bool, typer.Option("--allow-partial-dem", help="Accept elevation for under 90 % of the scene.")
    ] = False,
    fill_voids: Annotated[
        float, typer.Option("--fill-voids", min=0, help="Fill holes in the elevation up to this many metres.")
    ] = 0.0,
    terrain: Annotated[
        str | None,
        typer.Option("--terrain", help="Terrain layers to add: aspect_sin,aspect_cos,curvature,relief,hillshade."),
    ] = None,
    quicklook: Annotated[Path | None, typer.Option("--quicklook", help="Also draw the scene as a PNG.")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    as_json: Json = False,
) -> None:
    """Put images, elevation and an inventory on one grid: a scene.

    Bands are told by their description, else by their file name (B02, B2, blue ...), else by --bands.
    """
    given: dict[str, Any] = {key: value for key, value in locals().items() if key not in _NOT_SETTINGS}
    _check_usage(context, batch)
    with session(quiet=quiet, debug=debug, as_json=as_json) as console:
        if batch is not None:
            from landslip.scene.batch import SceneBatch, build_scenes

            jobs = SceneBatch.read(batch)
            with cluster_at(dask) as cluster:
                done = build_scenes(jobs, resume=resume, cluster=cluster, progress=console.progress)
            tell(console, "scenes", done)
            return
        assert image is not None
        assert out is not None
        from landslip.scene.build import build_scene
        from landslip.scene.describe import describe_scene, in_words

        if quicklook is not None:
            from landslip.scene.quicklook import draw_quicklook, require_png

            require_png(quicklook)  # before the work, not after it
        scene = build_scene(_config(image, given), out, progress=console.progress)
        if quicklook is not None:
            draw_quicklook(scene, quicklook)
        summary = describe_scene(scene, statistics=False)
        said = {key: value for key, value in summary.items() if key != "remarks"}  # they were warnings already
        console.result(summary, in_words(said))


def _check_usage(context: typer.Context, batch: Path | None) -> None:
    """Refuse options that do not go together."""
    given = {name for name, source in _sources(context).items() if source == "COMMANDLINE"}
    if batch is None:
        needed = {"image": "IMAGE", "dem": "--dem", "out": "--out"}
        missing = [word for name, word in needed.items() if name not in given]
        if missing:
            message = f"missing {', '.join(missing)}; or give --batch JOBS"
            raise typer.BadParameter(message)
        if given & {"dask", "resume"}:
            message = "--dask and --resume are for lists of scenes; give --batch JOBS"
            raise typer.BadParameter(message)
        return
    other = sorted(given - {"batch", "dask", "resume", "quiet", "debug", "as_json"})
    if other:
        message = f"--batch takes everything from the file; leave out {', '.join(other)}"
        raise typer.BadParameter(message)


def _sources(context: typer.Context) -> dict[str, str]:
    return {name: getattr(context.get_parameter_source(name), "name", "") for name in context.params}


def _config(images: list[str], given: dict[str, Any]) -> SceneConfig:
    """Turn the options into settings; those that were not given keep their defaults."""
    from landslip.scene.config import SceneConfig

    settings = {key: value for key, value in given.items() if value is not None}
    for key in ("bands", "extra_bands"):
        if key in settings:
            settings[key] = _words(settings[key])
    for key in ("sun", "pre_sun"):
        if key in settings:
            settings[key] = _words(settings[key])
    band = settings.pop("dem_band", None)
    settings["elevation"] = {
        "layers": _words(settings.pop("terrain", "")),
        "z_unit": settings.pop("z_unit"),
        "band": int(band) if band and band.isdigit() else band,
        "fill_voids_m": settings.pop("fill_voids"),
        "allow_partial": settings.pop("allow_partial_dem"),
    }
    return SceneConfig.from_dict({"images": images, **settings}, where="options")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


_NOT_SETTINGS = ("context", "image", "out", "batch", "resume", "dask", "quicklook", "quiet", "debug", "as_json")
