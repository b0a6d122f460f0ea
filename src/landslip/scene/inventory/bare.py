"""Which mapped landslides lay on bare ground before the event: old ones perhaps, or quarries and fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from landslip.scene.inventory.burn import blocks_of
from landslip.scene.inventory.landslides import Inventory
from landslip.windows import Window
from landslip.wording import counted

BARE_BELOW = {"ndvi": 0.3, "ngrdi": 0.0}
"""A pixel is bare where its vegetation index is below this: sparse vegetation and soil have an NDVI under
about 0.3; with a normalised green-red difference below 0 red exceeds green."""

BARE_SHARE = 0.5
"""A landslide is flagged where at least this share of its pixels was bare."""

_RING = 10  # pixels of surroundings that tell whether the index says anything that day


@dataclass(frozen=True)
class BareGround:
    """Bare ground under each landslide before the event.

    Parameters
    ----------
    share
        Share of each landslide's pixels that was bare, in order of id; NaN where the image shows none of it.
    surroundings
        Bare share of the pixels around all landslides.
    index
        Vegetation index that was used.
    """

    share: NDArray[np.float64]
    surroundings: float
    index: str

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which landslides lay on bare ground."""
        return np.nan_to_num(self.share, nan=0.0) >= BARE_SHARE

    @property
    def telling(self) -> bool:
        """Whether the surroundings were green: in winter or after harvest the flag says nothing."""
        return self.surroundings < BARE_SHARE

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        return {
            "index": self.index,
            "below": BARE_BELOW[self.index],
            "flagged": int(self.flagged.sum()),
            "not_seen": int(np.isnan(self.share).sum()),
            "surroundings_bare": None if np.isnan(self.surroundings) else round(self.surroundings, 4),
            "telling": self.telling,
        }

    @property
    def words(self) -> str:
        """Return the finding in one sentence."""
        if not self.telling:
            return (
                f"before the event {100 * self.surroundings:.0f} % of the landslides' surroundings were bare "
                f"({self.index}): whether landslides are old cannot be told from this image"
            )
        bare = f"{int(self.flagged.sum())} of {counted(len(self.share), 'landslide')}"
        return (
            f"{bare} lay on ground that was bare before the event "
            f"({self.index} below {BARE_BELOW[self.index]:g} on half of it): older ones perhaps, or no landslides"
        )


def bare_before(inventory: Inventory, read: Callable[[Window], NDArray[np.float32]], *, index: str) -> BareGround:
    """Look under each landslide in an image from before the event.

    Parameters
    ----------
    inventory
        The landslides.
    read
        Gives a window of the pre-event vegetation index, ``(rows, cols)``, NaN where invalid.
    index
        ``"ndvi"``, or ``"ngrdi"`` where there is no near infrared.
    """
    size = len(inventory) + 1
    seen, bare = np.zeros(size), np.zeros(size)
    ring_seen = ring_bare = 0
    for block in blocks_of(inventory.grid.window, inventory.grid):
        if inventory.shapes.near(block).size == 0:
            continue
        ids = inventory.shapes.burn(block)
        values = read(block)
        valid = np.isfinite(values)
        is_bare = valid & (np.where(valid, values, 1.0) < BARE_BELOW[index])
        seen += np.bincount(ids[valid], minlength=size)
        bare += np.bincount(ids[is_bare], minlength=size)
        ring = ndimage.binary_dilation(ids > 0, iterations=_RING) & (ids == 0)
        ring_seen += int(np.count_nonzero(ring & valid))
        ring_bare += int(np.count_nonzero(ring & is_bare))
    share = np.divide(bare[1:], seen[1:], out=np.full(size - 1, np.nan), where=seen[1:] > 0)
    return BareGround(share, ring_bare / ring_seen if ring_seen else float("nan"), index)
