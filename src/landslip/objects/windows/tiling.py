"""The first passes in windows, each node as far as what happens to it does not depend on what lies beyond.

All passes look at costs as they were when the pass began, so what happens to an object in a pass depends on
its neighbours and on theirs. Near the window's edge these are not known, from pass to pass further inwards.

Without a margin, objects stop there, and with them those whose merging would change what a stopped one must still
find. What has stopped knowing its least pair keeps it. Core after core, each object is handed over as far as it has
come, and goes on in the graph of the whole.

With a margin, objects near the edge are tainted, and taint spreads to the neighbours of tainted objects, and to
objects whose least neighbour has a tainted neighbour. What is free of taint after the passes has merged exactly as
in the whole raster. If taint reaches the core, the window is run again with a wider margin.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from landslip.objects.kernels import filling, handover
from landslip.objects.kernels import pixels as first
from landslip.objects.kernels.layout import (
    LANES,
    MEANS,
    POOL,
    STRAY,
    record_words,
)
from landslip.objects.kernels.memory import NO_ARENA, Arena, empty_graph, empty_part, pool_start
from landslip.objects.kernels.weights import at_least, make_screen
from landslip.objects.windows.joining import Part, Ranges
from landslip.objects.windows.merging import SERIAL, Merger, Workers
from landslip.objects.windows.plans import Pixels, Reader, Task
from landslip.windows import Window

NO_MASK = np.empty((0, 0), np.bool_)
NO_REGIONS = np.empty((0, 0), np.int64)

RIM = 3
"""With a margin, objects within so few pixels of the window's edge are tainted."""


def first_pass(
    pixels: Pixels,
    task: Task,
    window: Window,
    known: tuple[int, int, int, int] | None = None,
    workers: Workers = SERIAL,
    arena: Arena = NO_ARENA,
) -> tuple[Merger | None, NDArray[np.int32], NDArray[np.uint8], Ranges]:
    """Run the first pass on the pixels of a window and build the graph after it.

    Parameters
    ----------
    pixels
        Of the window.
    task
        What is asked.
    window
        Where they lie in the raster.
    known
        Rows (first, end) and columns of the window within which objects take part in the second pass; None for all.
    workers
        Threads for later passes.
    arena
        Memory to work in.

    Returns
    -------
    tuple
        The graph (None without a valid pixel), its forest over the window's pixels, their bits, and the least and
        the greatest value of each band.
    """
    bands, rows, cols = pixels.image.shape
    steps = task.criterion.steps
    image = pixels.image
    if image.dtype != np.float32 or not image.flags.c_contiguous:
        image = arena.empty(pixels.image.shape, np.float32)
        np.copyto(image, pixels.image)
    valid = np.ascontiguousarray(pixels.valid, np.bool_) if pixels.valid is not None else NO_MASK
    regions = np.ascontiguousarray(pixels.regions, np.int64) if pixels.regions is not None else NO_REGIONS
    width = task.shape[1]
    link = arena.empty((rows, cols), np.uint8)
    first.links(image, valid, regions, link)
    low, high = np.empty(bands, np.float32), np.empty(bands, np.float32)
    first.value_ranges(image, link, low, high)
    direction = arena.empty((rows, cols), np.uint8)
    first.pixel_pairs(image, link, task.criterion, task.limit, window.row, window.col, width, direction)
    forest = np.empty(rows * cols, np.int32) if arena is NO_ARENA else arena.empty(rows * cols, np.int32)
    first.pair_up(direction)
    firsts = arena.empty(rows * cols, np.int32)
    strip = task.plan.strip(width)
    edges = np.array([0, *range(strip - window.col % strip, cols, strip), cols])
    starts = np.empty(edges.size, np.int64)
    nodes = first.number_nodes(link, direction, edges, forest, firsts, starts)
    if not nodes:
        return None, forest, link, (low, high)
    graph = empty_graph(nodes, nodes + 64, steps, forest, arena)
    screen = make_screen(task.criterion, low, high)
    place = (starts, window.row, window.col, width, known or (0, rows, 0, cols))
    filling.fill_graph(image, link, direction, firsts, *place, task.criterion, at_least(task.prune), screen, graph)
    used = pool_start(nodes, record_words(steps))
    merger = Merger(graph, used, task.criterion, screen, task.prune, workers, nodes, arena)
    return merger, forest, link, (low, high)


def window_bytes(steps: tuple[int, ...]) -> int:
    """Memory of a window's pixel while it is worked on, at most (where hardly two pixels merge at first)."""
    # record, exact statistics, half a line, a block of the pool, small arrays of a node, arrays of a pixel, its values
    return 4 * record_words(steps) + 16 * LANES * len(steps) + 32 + 4 * POOL + 42 + 16 + 4 * LANES * len(steps)


def arena_bytes(task: Task, margin: int) -> int:
    """Memory of a whole core with such a margin."""
    rows, cols = (edge + 2 * margin for edge in task.plan.core)
    return window_bytes(task.criterion.steps) * rows * cols


class Arenas(threading.local):
    """One arena per thread, made at its first window."""

    _arena = Arena()

    def get(self, size: int) -> Arena:
        """Return this thread's arena, all free; a new one where the last is too small."""
        if self._arena.size < size:
            self._arena = Arena()  # given back before more is asked for
            self._arena = Arena(size)
        self._arena.reset()
        return self._arena


class Margins:
    """The margin with which windows begin, widened when too many of them had to be run again.

    How deep taint comes depends on the image. A window that is run again costs more than twice; beginning with the
    wider margin costs about an eighth. The margin changes how long it takes, never what comes out.

    Parameters
    ----------
    first
        The margin to begin with.
    """

    def __init__(self, first: int) -> None:
        self.start = first
        self._run, self._again = 0, 0
        self._lock = threading.Lock()

    @staticmethod
    def wider(margin: int) -> int:
        """Return the next margin to try."""
        return margin + margin // 2 + 8

    def note(self, start: int, attempts: int) -> None:
        """Take into account that a window begun with ``start`` took so many attempts."""
        with self._lock:
            if start != self.start:
                return
            self._run += 1
            self._again += attempts > 1
            if self._again > max(1, self._run // 8):
                self.start = self.wider(start)
                self._run, self._again = 0, 0


def run_window(
    read: Reader,
    task: Task,
    core: Window,
    out: NDArray[np.int32],
    at: tuple[int, int],
    arenas: Arenas,
    margins: Margins,
) -> Part:
    """Run the first passes around a core; where there is a margin, again with a wider one until the core is proven.

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
    margins
        The margin to begin with, and what is learnt about it.

    Returns
    -------
    Part
        The core's own nodes, in the thread's arena: gone with its next window.
    """
    start = margins.start
    margin, attempts = start, 0
    arena = arenas.get(arena_bytes(task, margin))
    while True:
        attempts += 1
        window = core.expanded(margin, task.shape)
        part = _attempt(read(window), task, core, window, out, at, attempts, arena)
        if part is not None:
            margins.note(start, attempts)
            return part
        margin = margins.wider(margin) if attempts == 1 else 2 * margin + 8
        arena.reset()


def _away_from_edge(window: Window, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    # rows and columns away from the sides at which the raster goes on
    return (
        RIM if window.row > 0 else 0,
        window.rows - (RIM if window.row + window.rows < shape[0] else 0),
        RIM if window.col > 0 else 0,
        window.cols - (RIM if window.col + window.cols < shape[1] else 0),
    )


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
    inner = core.relative_to(window)
    edges = (inner.row, inner.row + inner.rows, inner.col, inner.col + inner.cols)
    known = edges if task.plan.waits else _away_from_edge(window, task.shape)
    merger, forest, link, ranges = first_pass(pixels, task, window, known, SERIAL, arena)
    stray = int(np.count_nonzero(link[inner.slices] & STRAY))
    steps = task.criterion.steps
    if merger is None:
        out[at[0] : at[0] + core.rows, at[1] : at[1] + core.cols] = -1
        return Part(empty_part(0, 0, ranges[0].size), ranges, attempts, stray)
    stopped = merger.run_in_window(task.limit, task.plan.passes, waits=task.plan.waits)
    graph = merger.graph
    mine, own = merger.scratch()
    nodes, more = handover.own_nodes(graph, steps, window.row, window.cols, *edges, mine, own)
    corner = (window.row, window.col, window.cols)
    if not task.plan.waits:
        handover.root_forest(forest)
        if not handover.is_proven(graph, stopped, steps, *corner, *edges, mine):
            return None
    part = empty_part(nodes, more, ranges[0].size, arena)
    first_block = pool_start(nodes, MEANS)
    handover.hand_over(graph, steps, merger.token, task.plan.passes + 1, mine, own, part, first_block)
    place = (inner.row, inner.col, window.row, window.col, task.shape[1])
    handover.write_roots(forest, window.cols, *place, out, *at, core.rows, core.cols)
    return Part(part, ranges, attempts, stray)
