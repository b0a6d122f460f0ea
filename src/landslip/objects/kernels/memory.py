"""Memory for graphs: what a window needs again and again, and what goes back to the system at once."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import mmap
import os
import sys
from collections.abc import Callable
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
"""Pieces of memory from this size on are asked of the system itself, apart from all others."""

PAGE = 2**21
"""Such pieces are made of whole large pages."""

KEPT_AT_MOST = 8 * 2**30
"""Bytes kept for the next call, at most; and no more than a quarter of the machine's memory."""

_kept: list[mmap.mmap] = []
"""Pieces that nobody uses now, with pages that need not be cleared again. The system may take them at any time."""


def _memory(size: int) -> NDArray[np.uint8]:
    """Return bytes that begin with a cache line, their content undefined."""
    if size >= MAPPED:
        return np.asarray(_Piece(_kept_piece(size) or _new_piece(size)))[:size]
    some = np.empty(size + LINE_BYTES, np.uint8)
    skip = -some.ctypes.data % LINE_BYTES
    return some[skip : skip + size]


class _Piece:
    """What an array takes for its memory, and gives back when the last view of it has gone."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped
        address = np.frombuffer(mapped, np.uint8).ctypes.data
        self.__array_interface__ = {"shape": (len(mapped),), "typestr": "|u1", "data": (address, False), "version": 3}

    def __del__(self, at_end: Callable[[], bool] = sys.is_finalizing) -> None:
        if not at_end():  # of the process, when no module can be relied upon
            _keep(self._mapped)


def _keep(mapped: mmap.mmap) -> None:
    """Keep a piece for later, unless it is too much; until it is written to again, the system may take its pages."""
    if not hasattr(mmap, "MADV_FREE"):  # it goes back at once
        return
    room = min(KEPT_AT_MOST, _machine_bytes() // 4) - sum(map(_held, tuple(_kept)))
    if _held(mapped) <= room:
        with contextlib.suppress(OSError):
            mapped.madvise(mmap.MADV_FREE)
            _kept.append(mapped)


def _held(mapped: mmap.mmap) -> int:
    """Count the bytes of a piece that it takes of the machine: room that was never needed takes none."""
    mincore = _mincore()
    if mincore is None:
        return len(mapped)
    pages = np.zeros(-(-len(mapped) // mmap.PAGESIZE), np.uint8)
    begin = np.frombuffer(mapped, np.uint8).ctypes.data
    failed = mincore(ctypes.c_void_p(begin), ctypes.c_size_t(len(mapped)), ctypes.c_void_p(pages.ctypes.data))
    return len(mapped) if failed else int(np.count_nonzero(pages & 1)) * mmap.PAGESIZE


def give_back() -> None:
    """Give the memory that segmentations keep for the next one back to the system now.

    It need not be asked for: the system takes that memory when it wants it. But monitors count it to this process.
    """
    _kept.clear()


@functools.cache
def _mincore() -> Callable[..., int] | None:
    """Return the system's call that tells which pages are there; None where it has none."""
    try:
        return ctypes.CDLL(None).mincore
    except (OSError, TypeError, AttributeError):
        return None


@functools.cache
def _machine_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # unknown here
        return 0


def _kept_piece(size: int) -> mmap.mmap | None:
    """Take the smallest kept piece that is large enough; give the largest ones back if none is.

    Threads, and what ends while this runs, may change the list at any time: each step is one that they cannot divide.
    """
    for piece in sorted(_kept, key=len):
        if size <= len(piece) and _taken(piece):
            return piece
    back = 0
    for piece in sorted(_kept, key=len, reverse=True):
        # so that there is no more memory in all than without keeping any
        if back < size and _taken(piece):
            back += _held(piece)
    return None


def _taken(piece: mmap.mmap) -> bool:
    try:
        _kept.remove(piece)
    except ValueError:  # by another thread
        return False
    return True


def _new_piece(size: int) -> mmap.mmap:
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    length = -(-size // PAGE) * PAGE
    try:
        mapped = mmap.mmap(-1, length, **private)
    except OSError:  # refused; but where the system promises no more than it has, what is kept counts as well
        give_back()
        try:
            mapped = mmap.mmap(-1, length, **private)
        except OSError as error:
            message = f"the system refuses {length / 2**30:,.2f} GiB for the objects: {error.strerror}"
            raise MemoryError(message) from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a system without large pages serves small ones
            mapped.madvise(mmap.MADV_HUGEPAGE)
    return mapped


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
        count = math.prod(shape) if isinstance(shape, tuple) else shape
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


def part_blocks(nodes: int, words: int) -> int:
    """Return how many further blocks the lists of a part of so many words take (:func:`empty_part`)."""
    return words // POOL - pool_start(nodes, MEANS)


def empty_graph(
    nodes: int, more: int, steps: tuple[int, ...], forest: NDArray[np.int32], arena: Arena = NO_ARENA
) -> Graph:
    """Allocate a graph with a pool of ``more`` blocks; its memory is touched only as it is filled."""
    stride = record_words(steps)
    exact = arena.empty((nodes, 2 * LANES * len(steps)), np.float64)
    side = arena.empty(SIDE * nodes, np.int32)
    pixel = arena.empty(nodes, np.int32)
    word = arena.empty((pool_start(nodes, stride) + more) * POOL, np.int32)
    return Graph(word, word.view(np.float32), exact, side, side.view(np.uint8), pixel, forest)


def empty_part(nodes: int, more: int, bands: int, arena: Arena = NO_ARENA) -> Graph:
    """Allocate what a window hands over: records without the rounded means, exact statistics without padding."""
    word = arena.empty((pool_start(nodes, MEANS) + more) * POOL, np.int32)
    side = arena.empty(SIDE * nodes, np.int32)
    exact, pixel = arena.empty((nodes, 2 * bands), np.float64), arena.empty(nodes, np.int32)
    return Graph(word, word.view(np.float32), exact, side, side.view(np.uint8), pixel, np.empty(0, np.int32))
