"""``landslip train``: one network on one kind of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, Quiet, Resume


def command(
    config: Annotated[
        Path, typer.Argument(help="Settings (TOML): [data], [split], [objects], [train].", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="Run folder.", show_default=False)],
    resume: Resume = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at the tiles: what each part holds, what is odd; train nothing.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
    json: Json = False,
) -> None:
    """Train a network and score it on its test part.

    Paths in CONFIG count from the folder in which the command is run. Stop it at any time: --resume goes on from
    the last epoch's end, with the same result.
    """
    with session(quiet=quiet, debug=debug, as_json=json) as console:
        from landslip.data.checkup import check_up
        from landslip.data.matching import layers_to_match
        from landslip.files import check_place, keep_inputs
        from landslip.study.single import SingleConfig, prepare_tiles
        from landslip.training.record import require_no_run

        settings = SingleConfig.from_toml(config)
        if not (dry_run or resume):  # the settings of a run that goes on may well be its own
            keep_inputs([out / "config.toml"], [config])
            require_no_run(out)
            check_place(out)
        prepared = prepare_tiles(settings.tiles(), progress=console.progress)
        matched = layers_to_match(prepared.tiles.layers) if settings.train.match_images else ()
        found = check_up(prepared.tiles, matched=matched)
        if dry_run:
            console.result(found.to_dict(), found.text())
            return
        for remark in found.remarks:
            console.say(f"note: {remark}")
        from landslip.training import fit

        bundle = fit(
            prepared.tiles,
            settings.train,
            out,
            resume=resume,
            progress=console.progress,
            settings=settings,
            beside=prepared.keep_splits,
        )
        content = {
            "out": str(out),
            "threshold": bundle.threshold,
            "parameters": bundle.architecture["parameters"],
            "trained_parameters": bundle.architecture["trained_parameters"],
            "best_epoch": bundle.training["best_epoch"],
            "precision": bundle.training["precision"],
            "scores": bundle.scores,
        }
        console.result(content, _in_words(content))


def _in_words(content: dict[str, Any]) -> str:
    def score(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.3f}"

    lines = [
        f"{content['parameters']:,} parameters, {content['trained_parameters']:,} trained; "
        f"best epoch {content['best_epoch']}; computed in {content['precision']}"
    ]
    metrics = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU", "mcc": "MCC"}
    for part, scores in content["scores"].items():
        for name, threshold in (("at_half", 0.5), ("at_threshold", content["threshold"])):
            words = ", ".join(f"{word} {score(scores[name][key])}" for key, word in metrics.items())
            lines.append(f"{part} at threshold {threshold:.3f}: {words}")
    return "\n".join([*lines, f"run: {content['out']}"])
