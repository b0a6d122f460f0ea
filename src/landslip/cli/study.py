"""``landslip study``: the comparison of several runs, with intervals and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, Quiet, Resume


def command(
    config: Annotated[
        Path | None, typer.Argument(help="Settings (TOML); --init writes some to begin with.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Study folder.", show_default=False)] = None,
    resume: Resume = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the runs, with time and memory by a short probe; train nothing.")
    ] = False,
    init: Annotated[
        Literal["scene", "patches"] | None,
        typer.Option("--init", help="Print commented settings for a scene or for patches, and exit."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    json: Json = False,
) -> None:
    """Compare networks and training data on the same test region, and write the report.

    Paths in CONFIG count from the folder in which the command is run. Stop it at any time: --resume goes on, and
    finished runs are not made again.
    """
    with session(quiet=quiet, debug=debug, as_json=json) as console:
        if init is not None:
            from landslip.study.templates import template

            typer.echo(template(init), nl=False)
            return
        if out is None:
            message = "give --out DIR (or --init scene to begin with)"
            raise typer.BadParameter(message)
        from landslip.study import StudyConfig

        settings = StudyConfig.from_toml(config) if config is not None else None
        if dry_run:
            from landslip.study.probe import probe_study

            estimate = probe_study(settings, out, progress=console.progress)
            console.result(estimate.to_dict(), estimate.text())
            return
        from landslip.study import run_study

        result = run_study(settings, out, resume=resume, progress=console.progress)
        where = f"report: {result.report}" if result.report else f"tables: {result.folder / 'table.md'}"
        told = result.answer()
        console.result(result.to_dict() | {"answer": told}, "\n\n".join((result.table_text(), "\n".join(told), where)))
