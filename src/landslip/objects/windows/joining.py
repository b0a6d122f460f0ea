"""What windows hand over, and the graph of the whole raster that is made of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslip.objects.kernels import handover
from landslip.objects.kernels.layout import MEANS, POOL, Graph, record_words
from landslip.objects.kernels.memory import empty_graph, pool_start
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
        How often the window was run until taint stayed out of the core.
    stray
        Pixels of the core that are not finite though they should be.
    """

    graph: Graph
    ranges: Ranges
    attempts: int
    stray: int


@dataclass(frozen=True)
class Size:
    """What the graph of the whole needs to know of a part beforehand.

    Parameters
    ----------
    nodes
        Nodes.
    more
        Blocks of its pool.
    ranges
        Values of each band.
    """

    nodes: int
    more: int
    ranges: Ranges

    @classmethod
    def of(cls, part: Part) -> Size:
        """Take the size of a part."""
        return cls.counted(part.graph.pixel.size, part.graph.word.size, part.ranges)

    @classmethod
    def counted(cls, nodes: int, words: int, ranges: Ranges) -> Size:
        """Take the size of a graph of so many words."""
        return cls(nodes, words // POOL - pool_start(nodes, MEANS), ranges)


def first_nodes(sizes: list[Size]) -> NDArray[np.int64]:
    """Return the number of each part's first node in the graph of the whole, and the number of all nodes."""
    return np.concatenate([[0], np.cumsum([size.nodes for size in sizes])]).astype(np.int64)


@dataclass(frozen=True)
class Cells:
    """Where the nodes of each strip of each core lie in the graph of the whole, in order of their pixels.

    Parameters
    ----------
    starts
        First node of each cell, and the number of nodes; cells are in raster order.
    rows, cols
        Of a cell.
    across
        Cells beside each other.
    width
        Columns of the raster.
    """

    starts: NDArray[np.int64]
    rows: int
    cols: int
    across: int
    width: int

    @classmethod
    def of(cls, pixel: NDArray[np.int32], sizes: list[Size], task: Task) -> Cells:
        """Find the cells of the nodes that begin with these pixels."""
        firsts, width = first_nodes(sizes), task.shape[1]
        cols = task.plan.strip(width)
        starts = []
        for core, low, high in zip(task.plan.windows(task.shape), firsts[:-1], firsts[1:], strict=True):
            strips = pixel[low:high] % width // cols
            own = np.arange(core.col // cols, -(-(core.col + core.cols) // cols))
            starts.append(low + np.searchsorted(strips, own))
        together = np.concatenate([*starts, firsts[-1:]]).astype(np.int64)
        return cls(together, task.plan.core[0], cols, -(-width // cols), width)

    @property
    def key(self) -> tuple[NDArray[np.int64], int, int, int, int]:
        """What the kernels take."""
        return self.starts, self.rows, self.cols, self.across, self.width


def join(parts: Iterator[Graph], sizes: list[Size], task: Task, workers: Workers) -> Merger:
    """Build the graph of the whole from those of the windows.

    Parameters
    ----------
    parts
        One graph per window, in order; each is dropped once it is copied.
    sizes
        What is known of each.
    task
        What was asked.
    workers
        Threads.
    """
    steps = task.criterion.steps
    stride = record_words(steps)
    firsts = first_nodes(sizes)
    nodes = int(firsts[-1])
    low = np.min([size.ranges[0] for size in sizes], axis=0)
    high = np.max([size.ranges[1] for size in sizes], axis=0)
    screen = make_screen(task.criterion, low, high)
    graph = empty_graph(nodes, sum(size.more for size in sizes) + nodes + 64, steps, np.empty(0, np.int32))
    pools = pool_start(nodes, stride) + np.concatenate([[0], np.cumsum([size.more for size in sizes])])

    def place(index: int, part: Graph) -> None:
        own = pool_start(part.pixel.size, MEANS)
        handover.place_part(part, graph, steps, int(firsts[index]), own, int(pools[index]), screen)

    for index in range(0, len(sizes), workers.threads):
        group = list(itertools.islice(parts, workers.threads))
        workers.map(place, range(index, index + len(group)), group)
        del group
    cells = Cells.of(graph.pixel, sizes, task).key
    missing = workers.map(
        lambda low, high: handover.find_neighbours(graph, low, high, stride, *cells), *workers.ranges(nodes)
    )
    if sum(missing):
        message = f"{sum(missing)} neighbours across windows were not found: the windows contradict each other"
        raise AssertionError(message)
    return Merger(graph, int(pools[-1]), task.criterion, screen, task.prune, workers, alive=nodes)
