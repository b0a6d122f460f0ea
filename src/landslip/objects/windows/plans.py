"""What is asked of the windows of a raster: how they are cut, what they hold, and by which rules they merge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslip.objects.kernels.layout import Criterion
from landslip.windows import Window, split_windows

STRIP = 128
"""Columns whose nodes lie together: some rows of them, with all that belongs to them, fit the processor's own cache."""

SEAM = 4
"""Pixels around a core without a margin. After the first pass an object of the core may reach one pixel out, and what
neighbours it there, two pixels out, must be the very object that its own window has: so its partner, three out, must be
known, and all costs that decide on that one, which is what a fourth pixel gives."""

MOST_PASSES = 250
"""Nodes keep in a byte the number of a pass, and of two beyond the last."""


@dataclass(frozen=True)
class Plan:
    """How the first passes are cut into windows.

    Parameters
    ----------
    core
        Rows and columns of a window's core; cores tile the raster.
    passes
        Passes run in windows, the first included.
    margin
        Pixels around the core at the first attempt, so that all of the core is proven or the window run again. None: no
        more than the first pass needs, and what cannot be known in the window waits for the graph of the whole.
    """

    core: tuple[int, int]
    passes: int
    margin: int | None

    def __post_init__(self) -> None:
        """Refuse passes that a byte does not count."""
        if not 1 <= self.passes <= MOST_PASSES:
            message = f"{self.passes} passes in windows: there must be 1 to {MOST_PASSES}"
            raise ValueError(message)

    @property
    def waits(self) -> bool:
        """Whether what cannot be known in a window waits for the graph of the whole."""
        return self.margin is None

    @property
    def around(self) -> int:
        """Pixels around a core with which its window is first read."""
        return SEAM if self.margin is None else self.margin

    @classmethod
    def of(cls, shape: tuple[int, int], core: int, passes: int, margin: int | None) -> Plan:
        """Plan cores of about ``core²`` pixels; a raster of few columns is cut across only."""
        rows, cols = shape
        wide = cols if cols < 2 * core else core
        tall = min(rows, max(core, core * core // wide))
        return cls((tall, wide), passes, margin)

    def strip(self, width: int) -> int:
        """Return the columns of a strip: nodes lie strip by strip, so that neighbours are not far apart in memory."""
        return STRIP if self.core[1] % STRIP == 0 or self.core[1] >= width else self.core[1]

    def windows(self, shape: tuple[int, int]) -> list[Window]:
        """Return the cores, row by row."""
        return list(split_windows(shape, self.core))


@dataclass(frozen=True)
class Pixels:
    """What a window of the raster holds.

    Parameters
    ----------
    image
        ``(bands, rows, cols)`` float32.
    valid
        ``(rows, cols)`` bool, or None.
    regions
        ``(rows, cols)`` whole numbers, or None.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.generic] | None = None
    regions: NDArray[np.generic] | None = None

    def window(self, window: Window) -> Pixels:
        """Cut out a window."""
        rows, cols = window.slices
        return Pixels(
            self.image[:, rows, cols],
            self.valid[rows, cols] if self.valid is not None else None,
            self.regions[rows, cols] if self.regions is not None else None,
        )


Reader = Callable[[Window], Pixels]
"""Gives the pixels of a window of the raster."""


@dataclass(frozen=True)
class Task:
    """What is asked of every window alike.

    Parameters
    ----------
    shape
        Rows and columns of the raster.
    plan
        Windows and passes.
    criterion
        Weights.
    limit
        Pairs of this cost and above stay apart in these passes.
    prune
        Costs of pairs that can never merge at any scale asked for.
    """

    shape: tuple[int, int]
    plan: Plan
    criterion: Criterion
    limit: float
    prune: float
