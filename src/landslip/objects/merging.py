"""Running merging passes on a graph of objects, on one thread or several, always with the same result."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from landslip.objects import kernels
from landslip.objects.kernels import Criterion, Graph

LAST_TOKEN = 250
"""Tokens of passes fit a byte beside the two fixed states; after this one they start again."""

FEW = 30_000
"""Graphs of fewer nodes are not worth sharing among threads."""


def usable_threads(threads: int | None) -> int:
    """Return the number of threads asked for, or that of the processors this process may use."""
    if threads is not None:
        return threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """A pool of threads, or none for one thread."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Self:
        """Return the workers."""
        return self

    def __exit__(self, *unused: object) -> None:
        """End the threads; work not yet begun is dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, work: Callable[..., Any], *arguments: Any) -> list[Any]:  # noqa: ANN401 - any work
        """Call ``work`` with each group of arguments; the results are in the order of the groups."""
        if self._pool is None:
            return [work(*group) for group in zip(*arguments, strict=True)]
        return list(self._pool.map(work, *arguments))

    def ranges(self, size: int) -> tuple[list[int], list[int]]:
        """Cut ``range(size)`` into shares: their beginnings and their ends."""
        parts = 1 if size < FEW or self.threads == 1 else 2 * self.threads
        ends = [size * k // parts for k in range(parts + 1)]
        return ends[:-1], ends[1:]


SERIAL = Workers(1)
"""No threads: for use inside a worker."""


@dataclass
class Merger:
    """A graph of objects on its way from pass to pass.

    Parameters
    ----------
    graph
        The nodes. Lists are correct and least pairs found.
    used
        Blocks of the pool in use.
    criterion
        Weights.
    prune
        Costs from here on are not kept: the largest ``scale²`` that will be asked for.
    workers
        Threads that share the work of a pass.
    token
        Token of the last pass; nodes with this ``dirty`` are looked at next.
    small
        If positive, only pairs count of which one has fewer pixels.
    passes
        Passes run so far.
    alive
        Living nodes; counted if negative.
    """

    graph: Graph
    used: int
    criterion: Criterion
    prune: float
    workers: Workers = SERIAL
    token: int = 1
    small: float = 0.0
    passes: int = 0
    alive: int = -1

    def __post_init__(self) -> None:
        """Prepare the scratch memory."""
        if self.alive < 0:
            self.alive = int(np.count_nonzero(self.graph.state != kernels.DEAD))
        self._marks: queue.SimpleQueue[NDArray[np.int32]] = queue.SimpleQueue()
        self._merged = np.empty(self.graph.pixel.size, np.int32)
        self._waiting = np.empty(self.graph.pixel.size + 1, np.int32)
        for _ in range(self.workers.threads):
            self._marks.put(np.zeros(self.graph.pixel.size, np.int32))

    def run(self, limit: float, passes: int | None = None, *, proof: bool = False, shrink: bool = True) -> None:
        """Run passes until one merges nothing, at most ``passes``.

        Parameters
        ----------
        limit
            Pairs of this cost and above stay apart.
        passes
            Number of passes at most; None for no bound.
        proof
            Whether to carry the taint of a window's edge along.
        shrink
            Whether to move the living nodes together now and then.
        """
        done = 0
        while passes is None or done < passes:
            if proof:
                kernels.spread_taint(self.graph, limit)
            done += 1
            self.passes += 1
            merged = self._one_pass(limit)
            if shrink and self.alive < 0.6 * self.graph.pixel.size:
                self._drop_dead()
            if not merged and not proof:
                return  # with the proof, taint goes on spreading although nothing merges

    def restart(self, prune: float, small: float) -> None:
        """Evaluate what was pruned, and look at every node again."""
        self.prune, self.small = prune, small
        token = self._next_token()
        self._each(kernels.restart, token, self.criterion, prune, small)
        self.token = token

    def wake(self) -> None:
        """Look at every node again, because the limit has risen."""
        self.graph.dirty[:] = self.token

    def _one_pass(self, limit: float) -> int:
        graph, previous, token = self.graph, self.token, self._next_token()
        bands = self.criterion.bands
        lows, highs = self._ranges()
        found = self._each(kernels.select, previous, token, limit, bands, self._merged)
        counts, needs = [count for count, _ in found], [need for _, need in found]
        merged = sum(counts)
        if not merged:
            return 0
        if self.used + sum(needs) > graph.cost.shape[0]:
            self._move_lists(sum(needs))
        cursors = [self.used + sum(needs[:k]) for k in range(len(needs))]
        graph = self.graph
        alone = len(lows) == 1 and self.small == 0

        def rebuild(low: int, count: int, cursor: int, mark: NDArray[np.int32]) -> tuple[int, int]:
            rules = (token, self.criterion, self.prune, self.small, alone)
            found: tuple[int, int] = kernels.rebuild(
                graph, self._merged, low, count, cursor, *rules, mark, self._waiting
            )
            return found

        def refresh(low: int, high: int, mark: NDArray[np.int32]) -> None:
            rules = (token, self.criterion, self.prune, self.small, alone)
            kernels.refresh(graph, low, high, *rules, mark, self._waiting)

        self.used, waiting = self._marked(rebuild, lows, counts, cursors)[-1]
        self._marked(refresh, *(([0], [waiting]) if alone else (lows, highs)))
        self.token = token
        self.alive -= merged
        return int(merged)

    def _next_token(self) -> int:
        if self.token < LAST_TOKEN:
            return self.token + 1
        graph = self.graph
        graph.state[graph.state != kernels.DEAD] = kernels.ALIVE
        graph.dirty[:] = np.where(graph.dirty == self.token, 1, 0)
        self.token = 1
        return 2

    def _ranges(self) -> tuple[list[int], list[int]]:
        return self.workers.ranges(self.graph.pixel.size)

    def _each(self, kernel: Any, *rest: Any) -> list[Any]:  # noqa: ANN401 - a numba dispatcher
        lows, highs = self._ranges()
        graph = self.graph
        if len(lows) == 1:
            return [kernel(graph, lows[0], highs[0], *rest)]
        return self.workers.map(lambda low, high: kernel(graph, low, high, *rest), lows, highs)

    def _marked(self, work: Callable[..., Any], *arguments: Sequence[int]) -> list[Any]:
        def marked(*group: int) -> Any:  # noqa: ANN401 - what the kernel returns
            mark = self._marks.get()
            try:
                return work(*group, mark)
            finally:
                self._marks.put(mark)

        if len(arguments[0]) == 1:
            return [marked(*(column[0] for column in arguments))]
        return self.workers.map(marked, *arguments)

    def _move_lists(self, need: int) -> None:
        live = int(kernels.count_blocks(self.graph))
        name, cost = empty_pool(live + need + max(need // 2, live // 8))
        self.used = int(kernels.move_lists(self.graph, name, cost))
        self.graph = self.graph._replace(name=name, cost=cost)

    def _drop_dead(self) -> None:
        alive = int(kernels.drop_dead(self.graph))
        per_node = [name for name in Graph._fields if name not in ("name", "cost", "forest")]
        self.graph = self.graph._replace(**{name: getattr(self.graph, name)[:alive] for name in per_node})
        self._move_lists(alive // 4)


def make_criterion(band_weights: Sequence[float], color: float, compactness: float) -> Criterion:
    """Prepare the weights for the kernels."""
    bands = len(band_weights)
    weights = np.zeros(-(-bands // kernels.LANES) * kernels.LANES, np.float64)
    weights[:bands] = band_weights
    return Criterion(bands, weights, float(color), float(compactness))


class Arena:
    """Memory for one window after another, so that its pages are asked of the system only once.

    Parameters
    ----------
    size
        Bytes. What does not fit is allocated apart.
    """

    def __init__(self, size: int = 0) -> None:
        self._memory = np.empty(size, np.uint8)
        self._base = -self._memory.ctypes.data % 64
        self._used = self._base

    def reset(self) -> None:
        """Give everything free."""
        self._used = self._base

    def empty(self, shape: int | tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        """Return an array of whole cache lines, its content undefined."""
        count = int(np.prod(shape, dtype=np.int64))
        size = -(-count * np.dtype(dtype).itemsize // 64) * 64
        if self._used + size <= self._memory.size:
            piece = self._memory[self._used : self._used + size]
            self._used += size
        else:
            apart = np.empty(size + 64, np.uint8)
            skip = -apart.ctypes.data % 64
            piece = apart[skip : skip + size]
        return piece.view(dtype)[:count].reshape(shape)


NO_ARENA = Arena()
"""Allocates everything apart."""


def empty_graph(nodes: int, blocks: int, bands: int, forest: NDArray[np.int32], arena: Arena = NO_ARENA) -> Graph:
    """Allocate a graph; its memory is touched only as it is filled."""
    columns = -(-(kernels.BANDS + 3 * bands) // kernels.LINE) * kernels.LINE
    node = arena.empty((nodes + 1, columns), np.float64)
    node[nodes] = 0  # vectors of the last node's bands reach beyond it
    name, cost = empty_pool(blocks, arena)
    return Graph(
        node=node[:nodes],
        box=node[:nodes].view(np.int32),
        pixel=arena.empty(nodes, np.int32),
        slot=arena.empty(nodes, np.int32),
        state=arena.empty(nodes, np.uint8),
        dirty=arena.empty(nodes, np.uint8),
        taint=arena.empty(nodes, np.uint8),
        parent=arena.empty(nodes, np.int32),
        best=arena.empty(nodes, np.int32),
        best_cost=arena.empty(nodes, np.float64),
        start=arena.empty(nodes, np.int32),
        blocks=arena.empty(nodes, np.int32),
        room=arena.empty(nodes, np.int32),
        name=name,
        cost=cost,
        forest=forest,
    )


def empty_pool(blocks: int, arena: Arena = NO_ARENA) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Allocate the blocks of lists of neighbours: the same memory as integers and as floats."""
    cost = arena.empty((blocks, 2 * kernels.BLOCK), np.float64)
    return cost.view(np.int32), cost
