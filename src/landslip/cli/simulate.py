"""``landslip simulate``: a synthetic event as raw inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, OutFolder, Quiet
from landslip.wording import counted


def command(
    out: OutFolder,
    size: Annotated[
        int | None, typer.Option("--size", help="Edge of the square scene in 10 m pixels.", show_default="1024")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed of all random draws.", show_default="0")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file with further settings; --size and --seed overrule it.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    as_json: Json = False,
) -> None:
    """Simulate an event: four bands before and after it, elevation and an inventory, with the truth beside."""
    with session(quiet=quiet, debug=debug, as_json=as_json) as console:
        from landslip.config import read_toml
        from landslip.simulate import SimulateConfig, simulate_event

        content = read_toml(config) if config else {}
        given = {key: value for key, value in {"size_px": size, "seed": seed}.items() if value is not None}
        settings = SimulateConfig.from_dict({**content, **given}, where=str(config or "simulate"))
        event = simulate_event(settings, out, progress=console.progress)
        console.result(
            {
                "out": str(event.folder),
                "landslides": event.landslides,
                "prevalence": round(event.prevalence, 6),
                "post": [str(path) for path in event.post],
                "pre": [str(path) for path in event.pre],
                "dem": str(event.dem),
                "inventory": str(event.inventory),
                "mapped_extent": str(event.mapped_extent),
            },
            f"{event.folder}: {counted(event.landslides, 'landslide')} on {100 * event.prevalence:.1f} % of "
            f"{settings.size_px} x {settings.size_px} pixels",
        )
