"""``landslip search``: training settings tried one after another, and ranked on validation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, Quiet, Resume
from landslip.wording import counted


def command(
    config: Annotated[
        Path,
        typer.Argument(help="Settings (TOML) of landslip train, with lists in [search.values].", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="Search folder.", show_default=False)],
    resume: Resume = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the trials, and see whether they can be made; train nothing.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
    json: Json = False,
) -> None:
    """Try training settings, and rank them by F1 on validation; the test part is not looked at.

    Paths in CONFIG count from the folder in which the command is run. Stop it at any time: --resume goes on, and
    finished trials are not made again. What is best is in best.toml, for landslip train.
    """
    with session(quiet=quiet, debug=debug, as_json=json) as console:
        from landslip.study.search import SearchConfig, check_trials, in_words, run_search
        from landslip.study.search_table import as_markdown
        from landslip.study.single import layers_there

        settings = SearchConfig.from_toml(config)
        if dry_run:
            trials = settings.trials()
            check_trials(trials, layers_there(settings.tiles()))
            lines = [f"{trial.number}: {in_words(trial.settings)}" for trial in trials]
            content = {"trials": [trial.settings for trial in trials]}
            console.result(
                content,
                "\n".join([*lines, f"{counted(len(trials), 'trial')} of {counted(settings.train.epochs, 'epoch')}"]),
            )
            return
        found = run_search(settings, out, resume=resume, progress=console.progress)
        text = as_markdown(found.table, list(settings.search.values))
        console.result({"out": str(out), "best": str(found.best), "table": found.table}, f"{text}\nbest: {found.best}")
