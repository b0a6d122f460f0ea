"""Running merging passes on a graph of objects, on one thread or several, always with the same result."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable
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
        Entries of the pool in use.
    criterion
        Weights.
    prune
        Costs from here on are not kept: the largest ``scale²`` that will be asked for.
    workers
        Threads that share the work of a pass.
    token
        Token of the last pass; nodes with this ``dirty`` are looked at next.
    """

    graph: Graph
    used: int
    criterion: Criterion
    prune: float
    workers: Workers = SERIAL
    token: int = 1
    small: float = 0.0
    passes: int = 0

    def __post_init__(self) -> None:
        """Prepare the scratch memory."""
        self.alive = int(np.count_nonzero(self.graph.state != kernels.DEAD))
        self._marks: queue.SimpleQueue[NDArray[np.int32]] = queue.SimpleQueue()
        for _ in range(self.workers.threads):
            self._marks.put(np.empty(self.graph.pixel.size, np.int32))

    def run(self, limit: float, passes: int | None = None, *, proof: bool = False) -> None:
        """Run passes until one merges nothing, at most ``passes``.

        Parameters
        ----------
        limit
            Pairs of this cost and above stay apart.
        passes
            Number of passes at most; None for no bound.
        proof
            Whether to carry the taint of a window's edge along.
        """
        done = 0
        while passes is None or done < passes:
            if proof:
                kernels.spread_taint(self.graph, limit)
            done += 1
            self.passes += 1
            if not self._one_pass(limit) and not proof:
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
        bands = self.criterion.bands.size
        merged = sum(self._each(kernels.select, previous, token, limit, bands))
        if not merged:
            return 0
        needs = self._each(kernels.count_merged, token)
        if self.used + sum(needs) > graph.cost.size:
            self._move_lists(sum(needs))
        firsts = [self.used + sum(needs[:k]) for k in range(len(needs))]
        self._each_marked(kernels.rebuild, firsts, token, self.criterion, self.prune)
        self._each_marked(kernels.refresh, None, token, self.criterion, self.prune, self.small)
        self.used += sum(needs)
        self.token = token
        self.alive -= merged
        if self.alive < 0.6 * graph.pixel.size:
            self._drop_dead()
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
        size = self.graph.pixel.size
        parts = 1 if size < FEW or self.workers.threads == 1 else 2 * self.workers.threads
        ends = [size * k // parts for k in range(parts + 1)]
        return ends[:-1], ends[1:]

    def _each(self, kernel: Any, *rest: Any) -> list[Any]:  # noqa: ANN401 - a numba dispatcher
        lows, highs = self._ranges()
        graph = self.graph
        if len(lows) == 1:
            return [kernel(graph, lows[0], highs[0], *rest)]
        return self.workers.map(lambda low, high: kernel(graph, low, high, *rest), lows, highs)

    def _each_marked(self, kernel: Any, firsts: list[int] | None, *rest: Any) -> None:  # noqa: ANN401
        lows, highs = self._ranges()
        graph = self.graph

        def work(low: int, high: int, first: int) -> None:
            mark = self._marks.get()
            try:
                head = (graph, low, high) if firsts is None else (graph, low, high, first)
                kernel(*head, *rest, mark)
            finally:
                self._marks.put(mark)

        starts = firsts if firsts is not None else [0] * len(lows)
        if len(lows) == 1:
            work(lows[0], highs[0], starts[0])
        else:
            self.workers.map(work, lows, highs, starts)

    def _move_lists(self, need: int) -> None:
        live = int(self.graph.length.sum(dtype=np.int64))
        size = live + need + max(need // 2, live // 4)
        neighbour, shared = np.empty(size, np.int32), np.empty(size, np.int32)
        cost = np.empty(size, np.float64)
        self.used = int(kernels.move_lists(self.graph, neighbour, shared, cost))
        self.graph = self.graph._replace(neighbour=neighbour, shared=shared, cost=cost)

    def _drop_dead(self) -> None:
        alive = int(kernels.drop_dead(self.graph))
        per_node = (
            "node", "pixel", "slot", "state", "dirty", "taint", "parent", "best", "best_cost", "start", "length",
        )  # fmt: skip
        self.graph = self.graph._replace(**{name: getattr(self.graph, name)[:alive] for name in per_node})
        self._move_lists(int(self.graph.length.sum(dtype=np.int64)) // 4)


def empty_graph(nodes: int, entries: int, bands: int, forest: NDArray[np.int32]) -> Graph:
    """Allocate a graph; its memory is touched only as it is filled."""
    return Graph(
        node=np.empty((nodes, kernels.BANDS + 3 * bands), np.float64),
        pixel=np.empty(nodes, np.int32),
        slot=np.empty(nodes, np.int32),
        state=np.empty(nodes, np.uint8),
        dirty=np.empty(nodes, np.uint8),
        taint=np.zeros(nodes, np.uint8),
        parent=np.empty(nodes, np.int32),
        best=np.empty(nodes, np.int32),
        best_cost=np.empty(nodes, np.float64),
        start=np.empty(nodes, np.int64),
        length=np.empty(nodes, np.int32),
        neighbour=np.empty(entries, np.int32),
        shared=np.empty(entries, np.int32),
        cost=np.empty(entries, np.float64),
        forest=forest,
    )
