"""How the memory of the segmentation's kernels is laid out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 8
"""Lists of neighbours are kept in blocks of this many entries, which are searched without a branch per entry."""

NAME, EDGES, COST = 0, BLOCK, 2 * BLOCK
"""Where in a block the neighbours, the edges shared with them and the costs (as floats) begin."""

POOL = 32
"""Words of a block. A node's first block is the beginning of its record; its unused words hold what follows."""

HETEROGENEITY, SIZE, PERIMETER, ERROR, BEST_COST, MORE, BLOCKS, ROOM = range(3 * BLOCK, 4 * BLOCK)
"""Words of a record: the object's own terms of the criterion (float); pixels; edges; the largest error of a cost
in its list (float); the cost of its least pair (float); where its further blocks are, in units of ``POOL``
words; the blocks in use, the first included; the further blocks that there is room for."""

MEANS, LANES = 32, 8
"""Then, for each eight bands, their means less an offset and their n·s² (floats); zero beyond the last band."""

LINE = 16
"""Words in a cache line."""

SIDE, BOX, PARENT, BEST, SLOT, FLAGS = 8, 0, 4, 5, 6, 7
"""Words of a node in ``Graph.side``, half a cache line: four for the bounding box (top, left, -bottom, -right in the
whole raster, ends exclusive, so that the box of a union is the least of each); the node itself, or the survivor of one
that died in this pass; the neighbour of the least pair, or -1; the index in ``Graph.forest``; the bytes below."""

BYTES, STATE, DIRTY, WAITS = 4 * SIDE, 4 * FLAGS, 4 * FLAGS + 1, 4 * FLAGS + 2
"""Bytes of a node in the same memory; the token of the pass in which the neighbourhood last changed; the first pass
that it cannot take part in, because it is within reach of a window's edge, or 0 if there is none yet. In the graph of
the whole: the first pass that it has not taken part in, and one more if it need not be looked at in that one."""

DEAD, ALIVE = 0, 255
"""Values of ``STATE``; every other value is the token of the pass in which the node last merged."""

LONG = 8
"""Lists of more blocks are put right by their own node, once per pass, instead of entry by entry by others."""

OPEN = -2
"""``BEST`` of a node whose least pair must be looked for again in this pass."""

EVERY = 255
"""What all nodes that wait for a pass wait for at most."""

HAS_RIGHT, HAS_BELOW, VALID, STRAY = 1, 2, 4, 8
"""Bits of a pixel: may join its right neighbour, the one below; is valid; is not finite where it should be."""


def steps_of(bands: int) -> tuple[int, ...]:
    """Return one zero per vector that the bands take: kernels are compiled for the length of this tuple."""
    return (0,) * -(-bands // LANES)


def record_words(steps: tuple[int, ...]) -> int:
    """Words of a node's record: whole cache lines."""
    return MEANS + 2 * LANES * len(steps)


class Graph(NamedTuple):
    """Objects ("nodes") with their statistics and lists of neighbours."""

    word: NDArray[np.int32]
    """Records of all nodes one after another, then the pool of further blocks; see :data:`NAME` and following.
    Unused entries of a list name the node itself, at infinite cost; so do those that can never merge."""
    real: NDArray[np.float32]
    """The same memory as floats."""
    exact: NDArray[np.float64]
    """``(nodes, columns)``: means, then variances of all bands, each padded to whole vectors, as the reference has
    them."""
    side: NDArray[np.int32]
    """What the neighbours of a node ask for beside its record; see :data:`SIDE`."""
    byte: NDArray[np.uint8]
    """The same memory as bytes."""
    pixel: NDArray[np.int32]
    """Lowest pixel index in the whole raster: the object's id."""
    forest: NDArray[np.int32]
    """Where a dead node's object has gone, by slot; a lower or equal slot for pixels."""

    def flags(self, which: int) -> NDArray[np.uint8]:
        """Return one of the bytes of every node: ``STATE``, ``DIRTY`` or ``WAITS``."""
        return self.byte[which::BYTES]

    def words(self, which: int) -> NDArray[np.int32]:
        """Return one of the words of every node: ``PARENT``, ``BEST`` or ``SLOT``."""
        return self.side[which::SIDE]


class Criterion(NamedTuple):
    """Weights of the merge criterion; those of the bands are filled up with zeros to whole vectors."""

    steps: tuple[int, ...]
    """See :func:`steps_of`."""
    weights: NDArray[np.float64]
    color: float
    compactness: float


class Screen(NamedTuple):
    """What the approximate costs of one graph are computed with, and how far they may be off."""

    offset: NDArray[np.float64]
    """Subtracted from each band's mean before it is rounded; filled up with zeros."""
    weights: NDArray[np.float32]
    """Weights of the bands times that of colour, filled up with zeros to whole vectors."""
    compact: np.float32
    """Weight of compactness times that of shape …"""
    smooth: np.float32
    """… and of smoothness."""
    relative: np.float32
    """Error of a cost per unit of the terms that it is the difference of."""
    per_pixel: np.float32
    """Error of a cost per pixel of the two objects, from rounding the means."""
