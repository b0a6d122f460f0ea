"""``landslip study``: the comparison of several runs, with intervals and a report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from landslip.cli.console import session
from landslip.cli.many import cluster_at
from landslip.cli.options import Dask, Debug, Json, Quiet, Resume

if TYPE_CHECKING:
    from landslip.cluster import Cluster


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
    devices: Annotated[
        str | None,
        typer.Option("--devices", metavar="0,1,…", help="Runs side by side on these GPUs of this machine."),
    ] = None,
    dask: Dask = None,
    quiet: Quiet = False,
    debug: Debug = False,
    json: Json = False,
) -> None:
    """Compare networks and training data on the same test region, and write the report.

    Paths in CONFIG count from the folder in which the command is run. Stop it at any time: --resume goes on, and
    finished runs are not made again. With --resume, a CONFIG that adds seeds or rows is taken up, as far as the layers
    of the rows lie in the study's tiles; --dry-run shows then what is finished and what is left.
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

            estimate = probe_study(settings, out, resume=resume, progress=console.progress)
            console.result(estimate.to_dict(), estimate.text())
            return
        from landslip.study import run_study

        with _workers(devices, dask) as cluster:
            result = run_study(settings, out, resume=resume, progress=console.progress, cluster=cluster)
        where = f"report: {result.report}" if result.report else f"tables: {result.folder / 'table.md'}"
        told = result.answer()
        console.result(result.to_dict() | {"answer": told}, "\n\n".join((result.table_text(), "\n".join(told), where)))


@contextlib.contextmanager
def _workers(devices: str | None, dask: str | None) -> Iterator[Cluster | None]:
    """Open what the runs are made on, if anything was asked for."""
    if devices is not None and dask is not None:
        message = "give --devices or --dask, not both"
        raise typer.BadParameter(message)
    if devices is not None:
        from landslip.study.parallel import on_devices

        words = devices.split(",")
        if not all(word.strip().isdecimal() for word in words):
            message = f"--devices {devices}: give numbers of GPUs, such as 0,1"
            raise typer.BadParameter(message)
        with on_devices([int(word) for word in words]) as cluster:
            yield cluster
    else:
        with cluster_at(dask) as cluster:
            yield cluster
