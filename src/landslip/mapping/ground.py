"""Where a run has learnt: scores on the same ground are no evidence."""

from __future__ import annotations

import logging

from landslip.bundle import Bundle
from landslip.errors import FormatError
from landslip.grid import Grid
from landslip.scene.store import Scene

log = logging.getLogger(__name__)


def trained_here(bundle: Bundle, scene: Scene) -> tuple[str, ...]:
    """Name the scenes of a run's training that share ground with ``scene``.

    Runs of patch sets, and those of a version that kept no record of it, name none.

    Raises
    ------
    FormatError
        The run's record of it is damaged.
    """
    try:
        scenes = [one for one in bundle.training.get("grounds", ()) if "grid" in one]
        grids = [(str(one["path"]), Grid.from_dict(one["grid"])) for one in scenes]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = "the run's record of where it was trained (training.grounds) is damaged; train it again"
        raise FormatError(message) from error
    return tuple(name for name, grid in grids if scene.grid.contains_bounds(grid.bounds, grid.crs))


def warn_of_training_ground(bundle: Bundle, scene: Scene) -> None:
    """Warn where a run is about to be scored on all of a scene that it was trained in."""
    names = trained_here(bundle, scene)
    if names:
        log.warning(
            "%s: the run was trained on ground of this scene (%s), so scores over all of it read too well; keep them "
            "to other ground with --within or --outside",
            scene.path,
            ", ".join(names),
        )


__all__ = ["trained_here", "warn_of_training_ground"]
