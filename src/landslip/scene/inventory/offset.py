"""How far an inventory lies beside the image: the shift at which its polygons fit what the image shows.

Landslides differ in brightness from what is around them. The mask of the polygons is correlated with the
image at every shift of some pixels, over the polygons and their close surroundings only, and the peak is
located to a fraction of a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from landslip.scene.inventory.landslides import Inventory
from landslip.windows import Window

Floats = NDArray[np.float64]
Read = Callable[[Window], NDArray[np.float32]]

REACH = 10
"""Largest shift that is tried, in pixels."""

BLOCK = 256
MAX_BLOCKS = 48
"""Places that are looked at: those with most landslide outline."""

_RING = 6  # pixels around polygons that count as surroundings
_FLATTEN = 41  # pixels of the running mean that is taken off: slopes and fields differ anyway
_LEAST_CORRELATION = 0.2


@dataclass(frozen=True)
class InventoryOffset:
    """Where the inventory lies relative to the image.

    Parameters
    ----------
    east_m, north_m
        Displacement of the polygons from what the image shows; to correct, move them back by it.
    correlation
        Of mask and image at the best shift; its sign says whether landslides are brighter or darker.
    correlation_in_place
        The same without a shift.
    spread_m
        Root mean square distance of the estimates from halves of the places; infinite with one place.
    places
        Blocks looked at.
    """

    east_m: float
    north_m: float
    correlation: float
    correlation_in_place: float
    spread_m: float
    places: int

    @property
    def reliable(self) -> bool:
        """Whether the image shows the landslides at all and the halves agree to 1.5 times their distance from zero."""
        distance = float(np.hypot(self.east_m, self.north_m))
        return abs(self.correlation) >= _LEAST_CORRELATION and self.spread_m <= max(10.0, 1.5 * distance)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        rounded = {key: round(value, 3) for key, value in asdict(self).items() if np.isfinite(value)}
        return {**rounded, "reliable": self.reliable}

    @property
    def words(self) -> str:
        """Return the finding in one sentence."""
        if not self.reliable:
            return "the inventory's offset against the image cannot be told: the image does not show its outlines"
        return (
            f"the inventory lies {abs(self.east_m):.1f} m {'west' if self.east_m < 0 else 'east'} and "
            f"{abs(self.north_m):.1f} m {'south' if self.north_m < 0 else 'north'} of what the image shows "
            f"(correlation {self.correlation:.2f}, {self.correlation_in_place:.2f} in place)"
        )


def estimate_offset(inventory: Inventory, read: Read) -> InventoryOffset | None:
    """Estimate the offset of an inventory against an image of its grid.

    Parameters
    ----------
    inventory
        The landslides.
    read
        Gives a window of the image, ``(rows, cols)``, NaN where invalid: red, or the mean of the visible
        bands, or any layer in which landslides differ from their surroundings.

    Returns
    -------
    InventoryOffset or None
        None where no place has both landslides and image.
    """
    sums = [found for block in _places(inventory) if (found := _sums(inventory, read, block)) is not None]
    if not sums:
        return None
    surface = _correlation(np.sum(sums, axis=0))
    row, col = _peak(surface)
    halves = [_peak(_correlation(np.sum(sums[start::2], axis=0))) for start in (0, 1)] if len(sums) > 1 else []
    height, width = inventory.grid.resolution
    spread = [np.hypot((r - row) * height, (c - col) * width) for r, c in halves]
    at = (round(row) + REACH, round(col) + REACH)
    return InventoryOffset(
        east_m=-col * width,
        north_m=row * height,
        correlation=float(surface[at]),
        correlation_in_place=float(surface[REACH, REACH]),
        spread_m=float(np.sqrt(np.mean(np.square(spread)))) if spread else float("inf"),
        places=len(sums),
    )


def _places(inventory: Inventory) -> list[Window]:
    """Blocks with most outline: long outlines say more of a shift than large areas."""
    grid = inventory.grid
    frame = inventory.frame
    centres = frame.geometry.representative_point()
    cols = ((centres.x - grid.transform.c) / grid.resolution[1] // BLOCK).astype(int)
    rows = ((grid.transform.f - centres.y) / grid.resolution[0] // BLOCK).astype(int)
    length = frame.geometry.length.groupby([rows.to_numpy(), cols.to_numpy()]).sum().sort_values(ascending=False)
    windows = [Window(row * BLOCK, col * BLOCK, BLOCK, BLOCK) for row, col in length.index[: 4 * MAX_BLOCKS]]
    inside = [window.intersection(grid.window) for window in windows]
    return [window for window in inside if min(window.shape) > 4 * REACH][:MAX_BLOCKS]


def _sums(inventory: Inventory, read: Read, block: Window) -> Floats | None:
    """Return sums over a block for every shift, ``(5, shifts, shifts)``; None where there is nothing to compare."""
    rows, cols = inventory.grid.shape
    inner = block.intersection(Window(REACH, REACH, rows - 2 * REACH, cols - 2 * REACH))
    if inner.empty:
        return None
    wide = inner.expanded(REACH, inventory.grid.shape)
    mask = inventory.shapes.burn(inner) > 0
    image = read(wide).astype(np.float64)
    valid = np.isfinite(image)
    if not mask.any() or valid.mean() < 0.2:
        return None
    image = np.where(valid, image, 0.0)
    near = np.maximum(ndimage.uniform_filter(valid.astype(np.float64), _FLATTEN), 1e-6)
    flat = np.where(valid, image - ndimage.uniform_filter(image, _FLATTEN) / near, 0.0)
    around = ndimage.binary_dilation(mask, iterations=_RING)
    weight, slide = around.astype(np.float64), mask.astype(np.float64)
    seen = valid.astype(np.float64)
    # for every shift: pixels, landslide pixels, image, image squared, image on landslides
    return np.stack(
        [
            _shifted_sum(weight, seen),
            _shifted_sum(slide, seen),
            _shifted_sum(weight, flat),
            _shifted_sum(weight, flat**2),
            _shifted_sum(slide, flat),
        ]
    )


def _shifted_sum(fixed: Floats, moving: Floats) -> Floats:
    """Sum of ``fixed(x) moving(x + s)`` for every shift ``s``; ``moving`` is larger by the reach on each side."""
    shape = [fft.next_fast_len(size, real=True) for size in moving.shape]
    spectrum = fft.rfft2(moving, shape) * np.conj(fft.rfft2(fixed, shape))
    return np.asarray(fft.irfft2(spectrum, shape)[: 2 * REACH + 1, : 2 * REACH + 1])


def _correlation(sums: Floats) -> Floats:
    """Pearson correlation of mask and image for every shift."""
    count, slides, image, squared, product = sums
    count = np.maximum(count, 1.0)
    covariance = product / count - (slides / count) * (image / count)
    mask_variance = slides / count - (slides / count) ** 2
    image_variance = squared / count - (image / count) ** 2
    scale = np.sqrt(np.maximum(mask_variance * image_variance, 0.0))
    correlation: Floats = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 1e-12)
    return correlation


def _peak(surface: Floats) -> tuple[float, float]:
    """Shift in rows and columns at which the correlation is strongest, by a parabola through its neighbours."""
    strength = np.abs(surface)
    row, col = np.unravel_index(int(np.argmax(strength)), strength.shape)
    return (
        float(row) - REACH + _vertex(strength[:, col], int(row)),
        float(col) - REACH + _vertex(strength[row, :], int(col)),
    )


def _vertex(line: Floats, at: int) -> float:
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = line[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
