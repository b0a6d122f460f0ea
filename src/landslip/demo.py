"""The whole of the paper's comparison on a synthetic event: simulate, build the scene, run the study.

Nothing here is special to the demo: it calls what the commands ``simulate``, ``scene`` and ``study`` call,
with settings small enough for two processor cores.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from landslip.config import Config
from landslip.errors import OutputError
from landslip.files import locked
from landslip.progress import SILENT, Progress

if TYPE_CHECKING:
    from landslip.study import StudyConfig, StudyResult

ROWS = ("unet", "resunet34", "attention-resunet34", "data-centric", "unet-steps", "forest")
"""Rows of the demo: the paper's four, the step-matched control, and the practice before deep learning."""


class DemoConfig(Config):
    """Size and length of the demo."""

    size_px: int = Field(1280, ge=512)
    """Edge of the simulated scene in 10 m pixels."""
    epochs: int = Field(10, ge=1)
    """Epochs of the rows without augmentation; rows with five turned copies of each tile see five times as many."""
    seed: int = Field(0, ge=0)
    rows: tuple[str, ...] = Field(ROWS, min_length=1)
    """Rows of the study that are run."""

    @field_validator("rows")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in ROWS:
                message = f"there is no row {name!r}; rows are: {', '.join(ROWS)}"
                raise ValueError(message)
        return value


def run_demo(
    out: str | os.PathLike[str], config: DemoConfig | None = None, *, progress: Progress = SILENT
) -> StudyResult:
    """Simulate an event, build its scene, run the paper's study on it and write the report.

    Parameters
    ----------
    out
        Output folder: gets ``raw/`` (inputs as a user has them), ``scene/`` and ``study/``. What is there and
        complete from an interrupted run is not made again.
    config
        Size, length and seed.
    progress
        Who is told how far it is.

    Returns
    -------
    StudyResult
        The table and where the report is.

    Raises
    ------
    OutputError
        Another process is at work on ``out``, or it cannot be written.
    """
    config = config or DemoConfig()
    folder = Path(out)
    with locked(folder):
        _same_settings(folder, config)
        return _run(folder, config, progress)


def _run(folder: Path, config: DemoConfig, progress: Progress) -> StudyResult:
    from landslip.scene.build import build_scene
    from landslip.scene.config import SceneConfig
    from landslip.simulate import SimulateConfig, simulate_event
    from landslip.study import run_study

    raw, scene = folder / "raw", folder / "scene"
    if not (raw / "event.json").exists():
        simulate_event(SimulateConfig(size_px=config.size_px, seed=config.seed), raw, progress=progress)
    if not (scene / "scene.json").exists():
        inputs = SceneConfig(
            images=(str(raw / "post"),),
            pre=(str(raw / "pre"),),
            dem=(str(raw / "dem.tif"),),
            inventory=str(raw / "inventory.gpkg"),
            aoi=str(raw / "mapped_extent.gpkg"),
        )
        build_scene(inputs, scene, progress=progress)
    return run_study(
        study_config(scene, config, raw / "truth" / "landslides.gpkg"), folder / "study", resume=True, progress=progress
    )


def study_config(scene: Path, config: DemoConfig, truth: Path | None = None) -> StudyConfig:
    """Return the study that the demo runs: the paper's rows, one seed, few epochs, no pretrained weights."""
    from landslip.study import StudyConfig

    return StudyConfig.from_dict(
        {
            "title": "Demo: the paper's comparison on a simulated event",
            "data": {"scene": str(scene)} | ({"truth": str(truth)} if truth is not None else {}),
            "only": list(config.rows),
            "seeds": [config.seed],
            "split": {"seed": config.seed},
            "train": {"epochs": config.epochs, "batch": 4},
        }
    )


def _same_settings(folder: Path, config: DemoConfig) -> None:
    """Refuse to go on with other settings than the folder was begun with.

    Raises
    ------
    OutputError
        Names the settings that differ.
    """
    path = folder / "demo.toml"
    if not path.exists():
        config.to_toml(path)
        return
    before = DemoConfig.from_toml(path)
    if before != config:
        was, now = before.to_dict(), config.to_dict()
        name = next(name for name in was if was[name] != now[name])
        message = (
            f"{folder}: was begun with {name} = {was[name]}, now {now[name]}; go back to it, or choose another --out"
        )
        raise OutputError(message)
