"""Where a run has learnt: scores on the same ground are no evidence."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.bundle import Bundle
from landslip.errors import FormatError, InputError
from landslip.files.places import is_file
from landslip.grid import Grid
from landslip.scene.store import Scene
from landslip.splits import SPLIT, TEST, load_part

log = logging.getLogger(__name__)


def trained_here(bundle: Bundle, scene: Scene) -> tuple[str, ...]:
    """Name the scenes of a run's training that share ground with ``scene``.

    Runs of patch sets, and those of a version that kept no record of it, name none.

    Raises
    ------
    FormatError
        The run's record of it is damaged.
    """
    return tuple(name for name, grid in _grounds(bundle) if scene.grid.contains_bounds(grid.bounds, grid.crs))


def _grounds(bundle: Bundle) -> list[tuple[str, Grid]]:
    """Name the scenes of a run's training, in its order, with their grids."""
    try:
        scenes = [one for one in bundle.training.get("grounds", ()) if "grid" in one]
        return [(str(one["path"]), Grid.from_dict(one["grid"])) for one in scenes]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = "the run's record of where it was trained (training.grounds) is damaged; train it again"
        raise FormatError(message) from error


def held_out(run: Path, bundle: Bundle, scene: Scene) -> NDArray[np.bool_]:
    """Return the test part of a run's own split, ``(rows, cols)``, on a scene that it was trained in.

    Parameters
    ----------
    run
        Run folder, of ``landslip train`` or in a study.
    bundle
        The run.
    scene
        The scene.

    Raises
    ------
    InputError
        The run kept no split, or was not trained in this scene.
    FormatError
        The split is damaged, or of another scene.
    """
    grounds = _grounds(bundle)
    same = [i for i, (_, grid) in enumerate(grounds) if grid == scene.grid]
    if not same:
        _refuse_changed(grounds, scene)
        names = ", ".join(name for name, _ in grounds) or "no scene that it knows of"
        message = (
            f"{scene.path}: the run was not trained in this scene (but in: {names}); leave --held-out away, "
            "and keep to other ground with --outside where it overlaps"
        )
        raise InputError(message)
    path = _split_file(run)
    if path is None:
        message = (
            f"{run}: the run kept no split (runs on tiles, trials of a search and older runs have none); "
            "give the ground to score in by --within or --outside"
        )
        raise InputError(message)
    kept = np.ones(scene.grid.shape, bool)
    for i in [i for i in same if grounds[i][0] == scene.path.name] or same:  # names that do not tell: test in all
        part = load_part(path, i)
        if part.shape != kept.shape:
            message = f"{path}: the split is of a scene of {part.shape}, {scene.path} has {kept.shape}; train again"
            raise FormatError(message)
        kept &= part == TEST
    return kept


def _refuse_changed(grounds: list[tuple[str, Grid]], scene: Scene) -> None:
    """Refuse a scene of the run's that has another grid by now."""
    before = next((grid for name, grid in grounds if name == scene.path.name), None)
    if before is not None and scene.grid.contains_bounds(before.bounds, before.crs):
        message = (
            f"{scene.path}: its grid is not the one of {before.shape[0]} x {before.shape[1]} pixels that the run was "
            "trained on, so --held-out cannot place the split; train again, or build the scene as it was"
        )
        raise InputError(message)


def _split_file(run: Path) -> Path | None:
    """Find the split in the run's folder, or in that of the study which the run belongs to."""
    fold = run.name.partition("-")[2]
    study = run.parent.parent.parent / (f"split-{fold}.npz" if fold else SPLIT)
    of_study = (study,) if is_file(run / "scores.json") else ()
    return next((path for path in (run / SPLIT, *of_study) if is_file(path)), None)


def warn_of_training_ground(bundle: Bundle, scene: Scene) -> None:
    """Warn where a run is about to be scored on all of a scene that it was trained in."""
    names = trained_here(bundle, scene)
    if names:
        log.warning(
            "%s: the run was trained on ground of this scene (%s), so scores over all of it read too well; keep them "
            "to other ground with --held-out, --within or --outside",
            scene.path,
            ", ".join(names),
        )
