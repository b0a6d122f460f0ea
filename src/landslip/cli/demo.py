"""``landslip demo``: the paper's comparison on a synthetic event, from raw inputs to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, Quiet, Seed


def command(
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("demo"),
    seed: Seed = 0,
    size: Annotated[int, typer.Option("--size", min=512, help="Edge of the simulated scene in pixels of 10 m.")] = 1280,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs of the rows without augmentation.")] = 10,
    quiet: Quiet = False,
    debug: Debug = False,
    json: Json = False,
) -> None:
    """Simulate an event, run the paper's comparison on it, and write the report.

    About ten minutes on two processor cores. After an interruption, run it again: it goes on where it was.
    """
    with session(quiet=quiet, debug=debug, as_json=json) as console:
        from landslip.demo import DemoConfig, run_demo

        result = run_demo(out, DemoConfig(size_px=size, epochs=epochs, seed=seed), progress=console.progress)
        console.result(result.to_dict(), f"{result.table_text()}\n\nreport: {result.report}")
