"""What windows hand over, and the graph of the whole raster that is made of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslip.objects.kernels import compacting, handover
from landslip.objects.kernels.layout import BYTES, LANES, MEANS, POOL, SIDE, Graph, record_words
from landslip.objects.kernels.memory import Arena, empty_graph, part_blocks, pool_start
from landslip.objects.kernels.weights import make_screen
from landslip.objects.windows.merging import Merger, Workers
from landslip.objects.windows.plans import Task

Ranges = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Least and greatest value of each band; the least is above the greatest where there is none."""


@dataclass(frozen=True)
class Part:
    """What a window contributes to the graph of the whole.

    Parameters
    ----------
    graph
        Nodes whose first pixel is in the core, in order.
    ranges
        Values of each band in the window.
    attempts
        How often the window was run until taint stayed out of the core; once where there is no margin.
    stray
        Pixels of the core that are not finite though they should be.
    """

    graph: Graph
    ranges: Ranges
    attempts: int
    stray: int


@dataclass(frozen=True)
class Cells:
    """Where the nodes of each strip of each core lie in the graph of the whole, in order of their pixels.

    Parameters
    ----------
    bounds
        ``(cells, 2)`` int64: first node of each cell, and the one after its last; cells are in raster order.
    rows, cols
        Of a cell.
    across
        Cells beside each other.
    width
        Columns of the raster.
    """

    bounds: NDArray[np.int64]
    rows: int
    cols: int
    across: int
    width: int

    @property
    def key(self) -> tuple[NDArray[np.int64], int, int, int, int]:
        """What the kernels take."""
        return self.bounds, self.rows, self.cols, self.across, self.width


GROWTH = 1.5
"""How much larger the memory becomes when it does not suffice."""


SCRATCH, PADDING = 24, 2**16
"""Bytes per node that the merger takes beside, and for the gaps between arrays that begin with a cache line."""


class Whole:
    """The graph of the whole raster, made of what windows hand over, in whatever order they come.

    Parameters
    ----------
    task
        What was asked.
    nodes, blocks
        Room for so many nodes, and further blocks of their lists. More is made when it is needed.
    """

    def __init__(self, task: Task, nodes: int, blocks: int) -> None:
        self._task, self._lock = task, threading.Lock()
        self._steps = task.criterion.steps
        self._stride = record_words(self._steps)
        self._nodes, self._blocks = 0, 0
        self._cores = task.plan.windows(task.shape)
        self._bounds = [np.empty((0, 2), np.int64)] * len(self._cores)
        self._ranges: list[Ranges] = []
        self._allocate(nodes, blocks)

    def _allocate(self, nodes: int, blocks: int) -> None:
        self._room = nodes, blocks
        more = blocks + nodes + 64
        words = (pool_start(nodes, self._stride) + more) * POOL
        exact = 8 * 2 * LANES * len(self._steps)
        self._arena = Arena(4 * words + nodes * (exact + 4 * SIDE + 4 + SCRATCH) + PADDING)
        self._graph = empty_graph(nodes, more, self._steps, np.empty(0, np.int32), self._arena)
        self._pool = pool_start(nodes, self._stride)

    def take(self, index: int, part: Graph, ranges: Ranges) -> None:
        """Take up what a window hands over.

        Parameters
        ----------
        index
            Of its core.
        part
            Its own nodes; they are copied.
        ranges
            Values of each band.
        """
        nodes, own = part.pixel.size, pool_start(part.pixel.size, MEANS)
        blocks = part_blocks(nodes, part.word.size)
        bounds = self._cells(index, part.pixel)
        with self._lock:
            self._make_room(nodes, blocks)
            first = self._nodes
            place = (first, own, self._pool + self._blocks)
            handover.place_part(part, self._graph, self._steps, *place)
            self._nodes += nodes
            self._blocks += blocks
            self._bounds[index] = bounds + first
            self._ranges.append(ranges)

    def _cells(self, index: int, pixel: NDArray[np.int32]) -> NDArray[np.int64]:
        """Find where the nodes of each strip of a core lie among its own."""
        core, width = self._cores[index], self._task.shape[1]
        cols = self._task.plan.strip(width)
        strips = pixel % width // cols
        edges = np.arange(core.col // cols, -(-(core.col + core.cols) // cols) + 1)
        found = np.searchsorted(strips, edges)
        return np.stack([found[:-1], found[1:]], axis=1).astype(np.int64)

    def _make_room(self, nodes: int, blocks: int) -> None:
        if self._nodes + nodes <= self._room[0] and self._blocks + blocks <= self._room[1]:
            return
        before, count = self._graph, self._nodes
        self._allocate(int(GROWTH * (self._room[0] + nodes)), int(GROWTH * (self._room[1] + blocks)))
        after = self._graph
        for old, new in ((before.exact, after.exact), (before.pixel, after.pixel)):
            new[:count] = old[:count]
        after.side[: SIDE * count] = before.side[: SIDE * count]
        known = before._replace(pixel=before.pixel[:count])
        compacting.move_lists(known, self._stride, after.word, self._pool)

    @property
    def nodes(self) -> int:
        """Nodes taken up."""
        return self._nodes

    def merger(self, workers: Workers) -> tuple[Merger, Cells]:
        """Return the graph of all windows, ready for further passes, and where its nodes lie."""
        task, graph, nodes = self._task, self._graph, self._nodes
        side, byte = graph.side[: SIDE * nodes], graph.byte[: BYTES * nodes]
        graph = graph._replace(side=side, byte=byte, pixel=graph.pixel[:nodes], exact=graph.exact[:nodes])
        low = np.min([values for values, _ in self._ranges], axis=0)
        high = np.max([values for _, values in self._ranges], axis=0)
        screen = make_screen(task.criterion, low, high)
        width, cols = task.shape[1], task.plan.strip(task.shape[1])
        cells = Cells(np.concatenate(self._bounds), task.plan.core[0], cols, -(-width // cols), width)
        missing = workers.map(
            lambda low, high: handover.complete(graph, low, high, self._steps, screen, *cells.key),
            *workers.ranges(nodes),
        )
        if sum(missing):
            message = f"{sum(missing)} neighbours across windows were not found: the windows contradict each other"
            raise AssertionError(message)
        used = self._pool + self._blocks
        return Merger(graph, used, task.criterion, screen, task.prune, workers, nodes, self._arena), cells
