"""``landslip export``: a run for use elsewhere, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, Quiet


def command(
    run: Annotated[Path, typer.Argument(help="Run folder, or a run in one file.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", help="FILE.safetensors: the run in one file. FILE.onnx: a graph.", show_default=False),
    ],
    quiet: Quiet = False,
    debug: Debug = False,
    as_json: Json = False,
) -> None:
    """Write a run into one file to hand on: for landslip itself, or as ONNX for other programs.

    FILE.safetensors holds weights, recipe, threshold, licence and scores; map, evaluate, info and further training
    take it in place of the folder. FILE.onnx takes layers in physical units (NaN where invalid), gives
    probabilities, and carries the recipe in its metadata; it is tried against PyTorch before it is written.
    """
    with session(quiet=quiet, debug=debug, as_json=as_json) as console:
        from landslip.bundle.export import export_run

        written = export_run(run, out)
        content: dict[str, Any] = {"out": str(written.path), "kind": written.kind, "bytes": out.stat().st_size}
        text = f"{written.path}: {content['bytes'] / 1e6:.1f} MB"
        if written.largest_difference is not None:
            content["largest_difference"] = written.largest_difference
            text += f"; differs from PyTorch by at most {written.largest_difference:.1g} in probability"
        console.result(content, text)
