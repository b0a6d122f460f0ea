"""Options that several sub-commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no remarks; errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Log in detail, and show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on standard output.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random draws.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue where an interrupted run left off.")]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask", metavar="ADDRESS", help="Work on a Dask cluster: tcp://host:8786, or local:N for N processes here."
    ),
]
TestTime = Annotated[
    Literal["none", "flips", "d4"] | None,
    typer.Option("--variants", help="Average test-time flips and turns.", show_default="none"),
]
OutFolder = Annotated[Path, typer.Option("--out", help="Output folder.", show_default=False)]
