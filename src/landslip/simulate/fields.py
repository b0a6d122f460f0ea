"""Random fields on a grid, each from its own stream of the seed.

A stream is named, so that a new one never disturbs the draws of the others.
"""

from __future__ import annotations

import zlib

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, zoom

Field2D = NDArray[np.float32]
_WORKERS = 2


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the generator of the stream ``name`` of ``seed``."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


def fractal(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    beta: float,
    longest_px: float,
    shortest_px: float = 2.0,
) -> Field2D:
    """Gaussian random field with a power-law spectrum, by spectral synthesis.

    Parameters
    ----------
    shape
        Rows and columns.
    rng
        Source of the white noise.
    beta
        The power spectral density falls as ``k ** -beta`` (2-D; terrain has about 3.5 to 4).
    longest_px, shortest_px
        Wavelengths in pixels beyond which the spectrum is flat, and below which it ends.

    Returns
    -------
    numpy.ndarray
        float32, mean 0, standard deviation 1.

    References
    ----------
    Voss, R. F. (1988). Fractals in nature: from characterization to simulation. In: The Science of
    Fractal Images, Springer.
    """
    coarse = max(1, int(shortest_px / 4))
    if coarse > 1:  # nothing shorter than four coarse pixels: make it there and enlarge
        small = tuple(-(-n // coarse) + 4 for n in shape)
        field = fractal(
            (small[0], small[1]), rng, beta=beta, longest_px=longest_px / coarse, shortest_px=shortest_px / coarse
        )
        return enlarge(field, shape, coarse)
    rows, cols = (scipy.fft.next_fast_len(n, real=True) for n in shape)
    noise = rng.standard_normal((rows, cols), dtype=np.float32)
    spectrum = scipy.fft.rfft2(noise, workers=_WORKERS)
    ky = scipy.fft.fftfreq(rows).astype(np.float32)[:, None]
    kx = scipy.fft.rfftfreq(cols).astype(np.float32)[None, :]
    k2 = ky * ky + kx * kx
    gain = (k2 + np.float32(1 / longest_px**2)) ** np.float32(-beta / 4)
    gain *= np.exp(-np.square(k2 * np.float32(shortest_px**2)))
    gain[0, 0] = 0
    field = scipy.fft.irfft2(spectrum * gain, s=(rows, cols), workers=_WORKERS)[: shape[0], : shape[1]]
    field = field.astype(np.float32)
    field -= field.mean()
    field /= field.std()
    return np.ascontiguousarray(field)


def enlarge(field: NDArray[np.floating], shape: tuple[int, int], factor: int) -> Field2D:
    """Enlarge ``factor`` times with cubic splines and crop to ``shape``."""
    big: Field2D = zoom(field, factor, order=3, mode="mirror", grid_mode=True, output=np.float32)
    return np.ascontiguousarray(big[: shape[0], : shape[1]])


def share_mask(field: Field2D, share: float) -> NDArray[np.bool_]:
    """Mask of the highest ``share`` of a field."""
    if share <= 0:
        return np.zeros(field.shape, bool)
    return field > np.quantile(field[::3, ::3], 1 - share)


def smoothstep(field: Field2D, low: float, high: float) -> Field2D:
    """Smooth ramp from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((field - np.float32(low)) / np.float32(high - low), 0, 1)
    ramp: Field2D = t * t * (3 - 2 * t)
    return ramp


def sample(field: NDArray[np.floating], rows: NDArray[np.floating], cols: NDArray[np.floating]) -> Field2D:
    """Bilinear values at fractional pixel positions (pixel centres are whole numbers)."""
    values: Field2D = map_coordinates(field, [rows, cols], order=1, mode="nearest", output=np.float32)
    return values
