"""``landslip evaluate``: how good a trained run is on a scene or a patch set with labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, Quiet, Resume, TestTime


def command(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    scene: Annotated[
        Path | None, typer.Option("--scene", help="Scene folder with an inventory.", show_default=False)
    ] = None,
    patches: Annotated[
        Path | None,
        typer.Option(
            "--patches", help="Patch set with masks, or prepared tiles (their test part).", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Output folder; needed with --scene.", show_default=False)
    ] = None,
    region: Annotated[
        list[int] | None, typer.Option("--region", help="With --patches: a region that takes part; repeat for more.")
    ] = None,
    within: Annotated[
        Path | None, typer.Option("--within", help="With --scene: score inside these polygons only.")
    ] = None,
    outside: Annotated[
        Path | None, typer.Option("--outside", help="With --scene: score outside these polygons only.")
    ] = None,
    own_test: Annotated[
        bool,
        typer.Option("--held-out", help="With --scene: score only the test part of the run's own split."),
    ] = False,
    variants: TestTime = None,
    resume: Resume = False,
    quiet: Quiet = False,
    debug: Debug = False,
    json: Json = False,
) -> None:
    """Score a run: pixels, landslides by size class; for a scene also a map of hits, false alarms and misses."""
    if (scene is None) == (patches is None):
        message = "give either --scene or --patches"
        raise typer.BadParameter(message)
    if scene is not None and out is None:
        message = "--scene needs --out DIR for the map and the comparison"
        raise typer.BadParameter(message)
    if scene is not None and region:
        message = "--region has no effect with --scene; leave it out"
        raise typer.BadParameter(message)
    if patches is not None and (within or outside or own_test):
        message = "--held-out, --within or --outside has no effect with --patches; leave it out"
        raise typer.BadParameter(message)
    as_asked = variants or "none"
    with session(quiet=quiet, debug=debug, as_json=json) as console:
        if patches is not None:
            from landslip.study.evaluate import evaluate_patches

            result = evaluate_patches(
                run, patches, out, regions=region or (), variants=as_asked, progress=console.progress
            )
            console.result(result.content, result.text())
            return
        from landslip.bundle import Bundle, run_name
        from landslip.mapping.compare import evaluate_scene
        from landslip.mapping.config import MapConfig, PredictConfig
        from landslip.mapping.ground import held_out, warn_of_training_ground
        from landslip.mapping.prepare import member_of
        from landslip.scene.store import Scene

        assert scene is not None
        assert out is not None
        bundle, place = Bundle.load(run), Scene.open(scene)
        if within is None and outside is None and not own_test:
            warn_of_training_ground(bundle, place)
        compared = evaluate_scene(
            member_of(bundle, run_name(run.resolve())),
            place,
            out,
            MapConfig(predict=PredictConfig(variants=as_asked)),
            within=within,
            outside=outside,
            held_out=held_out(run.resolve(), bundle, place) if own_test else None,
            resume=resume,
            progress=console.progress,
        )
        console.result(compared.content, f"{compared.summary}\n\n{compared.folder}")
