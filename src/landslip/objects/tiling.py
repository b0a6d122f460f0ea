"""The first passes in windows, with the proof that each window's core is as if there were no window.

All passes look at costs as they were when the pass began, so what happens to an object in a pass depends on
its neighbours and on theirs. An object that touches the window's edge may lack neighbours: it is tainted.
In each pass taint spreads to the neighbours of tainted objects, and to objects whose least neighbour has a
tainted neighbour. What is free of taint after the passes has merged exactly as in the whole raster. If taint
reaches the core, the window is run again with a wider margin.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landslip.objects import kernels
from landslip.objects.kernels import Criterion, Graph
from landslip.objects.merging import NO_ARENA, SERIAL, Arena, Merger, Workers, empty_graph
from landslip.windows import Window, split_windows

NO_MASK = np.empty((0, 0), np.bool_)
NO_REGIONS = np.empty((0, 0), np.int64)


@dataclass(frozen=True)
class Plan:
    """How the first passes are cut into windows.

    Parameters
    ----------
    core
        Rows and columns of a window's core; cores tile the raster.
    passes
        Passes run in windows, the first included.
    margin
        Pixels around the core at the first attempt.
    """

    core: tuple[int, int]
    passes: int
    margin: int

    @classmethod
    def of(cls, shape: tuple[int, int], core: int, passes: int, margin: int) -> Plan:
        """Plan cores of about ``core²`` pixels; a raster of few columns is cut across only."""
        rows, cols = shape
        wide = cols if cols < 2 * core else core
        tall = min(rows, max(core, core * core // wide))
        return cls((tall, wide), passes, margin)

    def windows(self, shape: tuple[int, int]) -> list[Window]:
        """Return the cores, row by row."""
        return list(split_windows(shape, self.core))


@dataclass(frozen=True)
class Pixels:
    """What a window of the raster holds.

    Parameters
    ----------
    image
        ``(bands, rows, cols)`` float32.
    valid
        ``(rows, cols)`` bool, or None.
    regions
        ``(rows, cols)`` whole numbers, or None.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.generic] | None = None
    regions: NDArray[np.generic] | None = None

    def window(self, window: Window) -> Pixels:
        """Cut out a window."""
        rows, cols = window.slices
        return Pixels(
            self.image[:, rows, cols],
            self.valid[rows, cols] if self.valid is not None else None,
            self.regions[rows, cols] if self.regions is not None else None,
        )


Reader = Callable[[Window], Pixels]
"""Gives the pixels of a window of the raster."""


@dataclass(frozen=True)
class Part:
    """What a window contributes to the graph of the whole.

    Parameters
    ----------
    graph
        Nodes whose first pixel is in the core, in order.
    attempts
        How often the window was run until taint stayed out of the core.
    stray
        Pixels of the core that are not finite though they should be.
    """

    graph: Graph
    attempts: int
    stray: int


@dataclass(frozen=True)
class Task:
    """What is asked of every window alike.

    Parameters
    ----------
    shape
        Rows and columns of the raster.
    plan
        Windows and passes.
    criterion
        Weights.
    limit
        Pairs of this cost and above stay apart in these passes.
    prune
        Costs of pairs that can never merge at any scale asked for.
    """

    shape: tuple[int, int]
    plan: Plan
    criterion: Criterion
    limit: float
    prune: float


def first_pass(
    pixels: Pixels, task: Task, window: Window, workers: Workers = SERIAL, arena: Arena = NO_ARENA
) -> tuple[Merger | None, NDArray[np.int32], NDArray[np.uint8]]:
    """Run the first pass on the pixels of a window and build the graph after it.

    Returns
    -------
    tuple
        The graph (None without a valid pixel), its forest over the window's pixels, and their bits.
    """
    bands, rows, cols = pixels.image.shape
    image = np.ascontiguousarray(pixels.image, np.float32)
    valid = np.ascontiguousarray(pixels.valid, np.bool_) if pixels.valid is not None else NO_MASK
    regions = np.ascontiguousarray(pixels.regions, np.int64) if pixels.regions is not None else NO_REGIONS
    width = task.shape[1]
    link = arena.empty((rows, cols), np.uint8)
    kernels.links(image, valid, regions, link)
    right, below = arena.empty((rows, cols), np.float64), arena.empty((rows, cols), np.float64)
    kernels.pixel_costs(image, link, task.criterion, task.prune, right, below)
    direction = arena.empty((rows, cols), np.uint8)
    kernels.pixel_pairs(link, right, below, task.limit, window.row, window.col, width, direction)
    forest = np.empty(rows * cols, np.int32) if arena is NO_ARENA else arena.empty(rows * cols, np.int32)
    nodes = kernels.number_nodes(link, direction, forest)
    if not nodes:
        return None, forest, link
    bare = np.array([window.row > 0, window.row + rows < task.shape[0], window.col > 0, window.col + cols < width])
    # half of the lists outgrow their block in the first passes, and move
    graph = empty_graph(nodes, 2 * nodes + nodes // 2 + 64, bands, forest, arena)
    kernels.fill_nodes(image, link, direction, window.row, window.col, width, bare, graph)
    kernels.fill_lists(link, direction, right, below, task.criterion, task.prune, graph)
    return Merger(graph, nodes, task.criterion, task.prune, workers, alive=nodes), forest, link


BYTES_PER_PIXEL = 640
"""Memory of a window while it is worked on, at most (an image in which hardly two pixels merge at first)."""


class Arenas(threading.local):
    """One arena per thread, made at its first window."""

    arena: Arena | None = None

    def get(self, size: int) -> Arena:
        """Return this thread's arena, all free."""
        if self.arena is None:
            self.arena = Arena(size)
        self.arena.reset()
        return self.arena


def run_window(
    read: Reader, task: Task, core: Window, out: NDArray[np.int32], at: tuple[int, int], arenas: Arenas
) -> Part:
    """Run the first passes around a core, again with a wider margin until the core is proven.

    Parameters
    ----------
    read
        Gives the pixels.
    task
        What is asked.
    core
        The window's core.
    out
        Array into which the first pixel of each core pixel's object is written (-1: invalid) …
    at
        … with the core's corner here.
    arenas
        Memory of the threads.

    Returns
    -------
    Part
        The core's own nodes.
    """
    margin, attempts = task.plan.margin, 0
    size = BYTES_PER_PIXEL * (task.plan.core[0] + 2 * margin) * (task.plan.core[1] + 2 * margin)
    arena = arenas.get(size)
    while True:
        attempts += 1
        window = core.expanded(margin, task.shape)
        part = _attempt(read(window), task, core, window, out, at, attempts, arena)
        if part is not None:
            return part
        margin = 2 * margin + 8
        arena.reset()


def _attempt(
    pixels: Pixels,
    task: Task,
    core: Window,
    window: Window,
    out: NDArray[np.int32],
    at: tuple[int, int],
    attempts: int,
    arena: Arena,
) -> Part | None:
    merger, forest, link = first_pass(pixels, task, window, SERIAL, arena)
    inner = core.relative_to(window)
    stray = int(np.count_nonzero(link[inner.slices] & kernels.STRAY))
    if merger is None:
        out[at[0] : at[0] + core.rows, at[1] : at[1] + core.cols] = -1
        return Part(empty_graph(0, 0, task.criterion.bands, forest[:0]), attempts, stray)
    whole = window.shape == task.shape
    merger.run(task.limit, task.plan.passes - 1, proof=not whole, shrink=False)
    graph = merger.graph
    kernels.root_forest(forest)
    mine = np.empty(graph.pixel.size, np.int32)
    edges = (inner.row, inner.row + inner.rows, inner.col, inner.col + inner.cols)
    proven, nodes, blocks = kernels.judge_window(graph, window.cols, *edges, mine)
    if not proven:
        return None
    part = empty_graph(nodes, blocks, task.criterion.bands, forest[:0])
    kernels.hand_over(graph, mine, part)
    place = (inner.row, inner.col, window.row, window.col, task.shape[1])
    kernels.write_roots(forest, window.cols, *place, out, *at, core.rows, core.cols)
    return Part(part, attempts, stray)


def join(parts: Iterator[Graph], sizes: list[tuple[int, int]], task: Task, workers: Workers) -> Graph:
    """Build the graph of the whole from those of the windows.

    Parameters
    ----------
    parts
        One graph per window, in order; each is dropped once it is copied.
    sizes
        Nodes and blocks of each.
    task
        What was asked.
    workers
        Threads.
    """
    firsts = np.concatenate([[0], np.cumsum([nodes for nodes, _ in sizes])]).astype(np.int64)
    first_block = 0
    total = sum(blocks for _, blocks in sizes)
    graph = empty_graph(int(firsts[-1]), total + total // 6 + 64, task.criterion.bands, np.empty(0, np.int32))
    for index, part in enumerate(parts):
        kernels.place_part(part, graph, int(firsts[index]), first_block)
        first_block += sizes[index][1]
    rows, cols = task.plan.core
    across = -(-task.shape[1] // cols)
    lows, highs = workers.ranges(int(firsts[-1]))
    missing = workers.map(
        lambda low, high: kernels.find_neighbours(graph, low, high, firsts, rows, cols, across, task.shape[1]),
        lows,
        highs,
    )
    if sum(missing):
        message = f"{sum(missing)} neighbours across windows were not found: the windows contradict each other"
        raise AssertionError(message)
    return graph
