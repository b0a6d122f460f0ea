"""How far the pre-event image lies from the post-event one, to a fraction of a pixel.

Phase correlation of several blocks (Kuglin and Hines 1975), the peak refined by a matrix-multiply
Fourier transform (Guizar-Sicairos et al. 2008, doi:10.1364/OL.33.000156); the median over blocks whose
peak stands out is robust against what the event changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from landslip.windows import Window

log = logging.getLogger(__name__)

BLOCK = 256
"""Edge of a block in pixels."""

PER_SIDE = 8
"""Blocks are looked at on a lattice of at most this many by this many."""

NEEDED_VALID = 0.5
"""Share of a block that must be valid in both images."""

UPSAMPLING = 50
"""The peak is found to one part in this many of a pixel."""

FURTHEST = 20.0
"""Shifts beyond this many pixels are taken for false peaks."""

MIN_PEAK = 6.0
"""Peak height over the correlation's own scatter below which a block says nothing."""

Reader = Callable[[Window], NDArray[np.float32]]


@dataclass(frozen=True)
class Shift:
    """Where the pre-event image lies against the post-event one.

    Parameters
    ----------
    rows, cols
        Pixels by which it lies too far down and right.
    spread
        Median absolute deviation over the blocks, in pixels.
    blocks
        Number of blocks that agree on it; 0: it could not be estimated.
    """

    rows: float
    cols: float
    spread: float
    blocks: int

    @property
    def known(self) -> bool:
        """Whether it could be estimated."""
        return self.blocks > 0

    def to_dict(self, *, corrected: bool) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "rows_px": round(self.rows, 2),
            "cols_px": round(self.cols, 2),
            "spread_px": round(self.spread, 2),
            "blocks": self.blocks,
            "corrected": corrected and self.known,
        }


UNKNOWN = Shift(0.0, 0.0, 0.0, 0)


def estimate_shift(reference: Reader, moved: Reader, shape: tuple[int, int]) -> Shift:
    """Estimate the shift of an image against a reference on the same grid.

    Parameters
    ----------
    reference, moved
        Give a window ``(rows, cols)`` float32 with NaN where invalid.
    shape
        Rows and columns of the scene.

    Returns
    -------
    Shift
        :data:`UNKNOWN` when no block has enough valid, structured pixels.
    """
    found = []
    for window in _blocks(shape):
        one, other = reference(window), moved(window)
        valid = np.isfinite(one) & np.isfinite(other)
        if np.count_nonzero(valid) >= NEEDED_VALID * valid.size:
            shift = block_shift(one, other, valid)
            if shift is not None:
                found.append(shift)
    if not found:
        return UNKNOWN
    shifts = np.array(found)
    middle = np.median(shifts, axis=0)
    distance = np.hypot(*(shifts - middle).T)
    spread = float(np.median(distance))
    agreeing = shifts[distance <= max(3 * spread, 0.5)]
    if len(shifts) >= 3 and 2 * len(agreeing) < len(shifts):
        return UNKNOWN
    rows, cols = np.median(agreeing, axis=0)
    return Shift(float(rows), float(cols), spread, len(agreeing))


def block_shift(
    reference: NDArray[np.float32], moved: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """Return rows and columns by which ``moved`` lies too far down and right; None when it cannot be told.

    Parameters
    ----------
    reference, moved
        ``(rows, cols)`` float32.
    valid
        ``(rows, cols)`` bool: pixels that both have.
    """
    one, other = _prepared(reference, valid), _prepared(moved, valid)
    if one is None or other is None:
        return None
    spectrum = scipy.fft.fft2(other) * np.conj(scipy.fft.fft2(one))
    magnitude = np.abs(spectrum)
    spectrum = np.where(magnitude > 1e-6 * magnitude.max(), spectrum / np.maximum(magnitude, 1e-30), 0)
    spectrum *= _low_pass(spectrum.shape)
    surface = scipy.fft.ifft2(spectrum).real
    peak = np.unravel_index(np.argmax(surface), surface.shape)
    if surface[peak] < MIN_PEAK * surface.std():
        return None
    coarse = np.array([p if p <= n // 2 else p - n for p, n in zip(peak, surface.shape, strict=True)], float)
    rows, cols = _refine(spectrum, coarse)
    return (rows, cols) if max(abs(rows), abs(cols)) <= FURTHEST else None


def _blocks(shape: tuple[int, int]) -> list[Window]:
    size = min(BLOCK, *shape)
    if size < 32:
        return []
    places = [np.unique(np.linspace(0, n - size, min(PER_SIDE, max(1, n // size))).round().astype(int)) for n in shape]
    return [Window(int(row), int(col), size, size) for row in places[0] for col in places[1]]


def _prepared(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Structure of an image: missing pixels flat, extremes cut, edges faded."""
    values = image[valid]
    low, high = np.percentile(values, [1, 99])
    if not high > low:
        return None
    cut = np.clip(np.where(valid, image, (low + high) / 2), low, high).astype(np.float64)
    weight = scipy.ndimage.uniform_filter(valid.astype(np.float64), 9)  # fades the outline of what is missing
    window = np.outer(*(np.hanning(n) for n in image.shape)) * weight
    mean = float((cut * window).sum() / window.sum())
    prepared: NDArray[np.float64] = (cut - mean) * window
    return prepared


def _low_pass(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Weights that leave out the finest detail, where noise and resampling rule."""
    rows, cols = (scipy.fft.fftfreq(n) for n in shape)
    weights: NDArray[np.float64] = np.exp(-0.5 * (np.hypot(rows[:, None], cols[None, :]) / 0.18) ** 2)
    return weights


def _refine(spectrum: NDArray[np.complex128], coarse: NDArray[np.float64]) -> tuple[float, float]:
    """Sample the correlation finely around a whole-pixel peak, and take its highest point."""
    reach = np.arange(-1.0, 1.0 + 0.5 / UPSAMPLING, 1.0 / UPSAMPLING)
    factors = []
    for place, size in zip(coarse, spectrum.shape, strict=True):
        factors.append(np.exp(2j * np.pi * np.outer(place + reach, scipy.fft.fftfreq(size))))
    surface = (factors[0] @ spectrum @ factors[1].T).real
    row, col = np.unravel_index(np.argmax(surface), surface.shape)
    return float(coarse[0] + reach[row]), float(coarse[1] + reach[col])
