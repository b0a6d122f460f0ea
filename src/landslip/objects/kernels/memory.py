"""Memory for graphs: what a window needs again and again, and what goes back to the system at once."""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.objects.kernels.layout import (
    LANES,
    MEANS,
    POOL,
    SIDE,
    Graph,
    record_words,
)

LINE_BYTES = 64


MAPPED = 2**20
"""Pieces of memory from this size on are asked of the system itself, so that it has them back at once."""


def _memory(size: int) -> NDArray[np.uint8]:
    """Return bytes that begin with a cache line."""
    if size < MAPPED:
        some = np.empty(size + LINE_BYTES, np.uint8)
        skip = -some.ctypes.data % LINE_BYTES
        return some[skip : skip + size]
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    mapped = mmap.mmap(-1, size, **private)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a system without large pages serves small ones
            mapped.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(mapped, np.uint8)


class Arena:
    """Memory for one window after another, so that its pages are asked of the system only once.

    Parameters
    ----------
    size
        Bytes. What does not fit is allocated apart.
    """

    def __init__(self, size: int = 0) -> None:
        self._all = _memory(size)
        self._used = 0

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._all.size

    def reset(self) -> None:
        """Give everything free."""
        self._used = 0

    def empty(self, shape: int | tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        """Return an array of whole cache lines, its content undefined."""
        count = int(np.prod(shape, dtype=np.int64))
        size = -(-count * np.dtype(dtype).itemsize // LINE_BYTES) * LINE_BYTES
        if self._used + size <= self._all.size:
            piece = self._all[self._used : self._used + size]
            self._used += size
        else:
            piece = _memory(size)
        return piece.view(dtype)[:count].reshape(shape)


NO_ARENA = Arena()
"""Allocates everything apart."""


def pool_start(nodes: int, stride: int) -> int:
    """Return the first block after the records of so many nodes."""
    return -(-nodes * stride // POOL)


def empty_graph(
    nodes: int, more: int, steps: tuple[int, ...], forest: NDArray[np.int32], arena: Arena = NO_ARENA
) -> Graph:
    """Allocate a graph with a pool of ``more`` blocks; its memory is touched only as it is filled."""
    stride = record_words(steps)
    word = arena.empty((pool_start(nodes, stride) + more) * POOL, np.int32)
    side = arena.empty(SIDE * nodes, np.int32)
    return Graph(
        word=word,
        real=word.view(np.float32),
        exact=arena.empty((nodes, 2 * LANES * len(steps)), np.float64),
        side=side,
        byte=side.view(np.uint8),
        pixel=arena.empty(nodes, np.int32),
        forest=forest,
    )


def empty_part(nodes: int, more: int, bands: int) -> Graph:
    """Allocate what a window hands over: records without the rounded means, and no more arrays than are filled."""
    words = (pool_start(nodes, MEANS) + more) * POOL
    arena = Arena(4 * words + nodes * (16 * bands + 4 * SIDE + 4) + 4 * LINE_BYTES)
    word = arena.empty(words, np.int32)
    side = arena.empty(SIDE * nodes, np.int32)
    return Graph(
        word=word,
        real=word.view(np.float32),
        exact=arena.empty((nodes, 2 * bands), np.float64),
        side=side,
        byte=side.view(np.uint8),
        pixel=arena.empty(nodes, np.int32),
        forest=np.empty(0, np.int32),
    )
