"""Random draws that depend on nothing but (seed, epoch, tile).

Not on how many draws came before, on the order of the tiles, or on the version of a library: so a resumed
training draws what the undisturbed one would have drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw(seed: int, epoch: int, key: NDArray[np.int64], *, purpose: int = 0) -> NDArray[np.uint64]:
    """Draw 64 random bits for each tile.

    Parameters
    ----------
    seed, epoch
        Of the training, and its pass over the tiles.
    key
        ``(n,)`` numbers of the tiles.
    purpose
        Separates independent draws for the same tile.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` uint64, uniform.

    References
    ----------
    The finaliser of SplitMix64: Steele, Lea & Flood (2014), doi:10.1145/2660193.2660195.
    """
    state = np.zeros(key.shape, np.uint64)
    for word in (np.full_like(key, seed), np.full_like(key, epoch), np.full_like(key, purpose), key):
        state = _mix(state ^ word.astype(np.uint64))
    return state


def permutation(seed: int, epoch: int, key: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return an order of the tiles that each (seed, epoch) draws anew; ties go by number."""
    return np.lexsort((key, draw(seed, epoch, key))).astype(np.int64)


def integer(seed: int, epoch: int, *, purpose: int = 0) -> int:
    """Draw one non-negative integer of 63 bits, to seed other generators with."""
    return int(draw(seed, epoch, np.zeros(1, np.int64), purpose=purpose)[0] >> np.uint64(1))


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # uint64 arithmetic wraps around, as the method wants
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
