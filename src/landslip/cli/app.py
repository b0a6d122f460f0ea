"""The command ``landslip``: its sub-commands, found by name and imported when they are asked for."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="landslip",
    help="Map landslides from Sentinel-2 images and elevation, and measure honestly how well it went.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

COMMANDS = (
    "demo",
    "simulate",
    "fetch",
    "scene",
    "info",
    "segment",
    "prepare",
    "train",
    "search",
    "evaluate",
    "map",
    "mosaic",
    "export",
    "study",
)
"""Order in the help: from nothing to an answer, then each step alone. ``map`` lives in ``map_.py``."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from landslip._version import __version__

        typer.echo(f"landslip {__version__}")
        raise typer.Exit


@app.callback()
def landslip(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Map landslides from Sentinel-2 images and elevation, and measure honestly how well it went."""
    del version


def _module(name: str) -> str:
    return f"landslip.cli.{'map_' if name == 'map' else name}"


def _register(arguments: list[str]) -> None:
    # Only the asked-for command is imported, unless help over all of them is wanted.
    asked = next((word for word in arguments if not word.startswith("-")), None)
    here = Path(__file__).parent
    names = [asked] if asked in COMMANDS else list(COMMANDS)
    for name in names:
        if (here / f"{_module(name).rpartition('.')[2]}.py").exists():
            module = importlib.import_module(_module(name))
            # the whole first line: left to itself, the list of commands is cut off with dots
            app.command(name=name, short_help=module.command.__doc__.partition("\n")[0])(module.command)


def main() -> None:
    """Entry point of the console script."""
    if "" in sys.argv[1:]:  # as a path it would silently mean the folder that we are in
        typer.echo("Error: an argument is empty; is a variable of the shell unset?", err=True)
        raise SystemExit(2)
    _register(sys.argv[1:])
    app()
