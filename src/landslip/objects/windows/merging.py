"""Running merging passes on a graph of objects, on one thread or several, always with the same result."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from landslip.objects.kernels import compacting, rebuilding, stopping, waiting
from landslip.objects.kernels import passes as steps
from landslip.objects.kernels.layout import (
    ALIVE,
    BYTES,
    DEAD,
    DIRTY,
    EVERY,
    POOL,
    SIDE,
    STATE,
    Criterion,
    Graph,
    Screen,
    record_words,
)
from landslip.objects.kernels.memory import NO_ARENA, Arena, pool_start
from landslip.objects.kernels.weights import at_least

LAST_TOKEN = 250
"""Tokens of passes fit a byte beside the two fixed states; after this one they start again."""

FEW = 60_000
"""Graphs of fewer nodes are not worth sharing among threads."""


def usable_threads(threads: int | None) -> int:
    """Return the number of threads asked for, by NUMBA_NUM_THREADS in the environment, or that of the processors."""
    if threads is not None:
        return threads
    allowed = os.environ.get("NUMBA_NUM_THREADS", "")
    if allowed.isdigit() and int(allowed) > 0:  # workers that share a machine say so
        return int(allowed)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Shares = Sequence[NDArray[np.int32]]
"""Nodes of each share of the graph."""


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


class Marks:
    """Per node, where in a list that is being joined it has its place, in numbers that grow from list to list."""

    def __init__(self, mark: NDArray[np.int32]) -> None:
        self.mark, self.stamp = mark, 2**31

    def first(self, needed: int) -> int:
        """Return the first number for the next lists, of so many entries in all."""
        if self.stamp + needed >= 2**31:
            self.mark[:] = 0
            self.stamp = 1
        return self.stamp


@dataclass
class Merger:
    """A graph of objects on its way from pass to pass.

    Parameters
    ----------
    graph
        The nodes. Lists are correct and least pairs found.
    used
        Where the unused part of the pool begins, in blocks.
    criterion, screen
        Weights, exact and for approximate costs.
    prune
        Costs from here on are not kept: the largest ``scale²`` that will be asked for.
    workers
        Threads that share the work of a pass.
    alive
        Living nodes.
    arena
        Memory to work in.
    token
        Token of the last pass; nodes with this ``dirty`` are looked at next.
    small
        If positive, only pairs count of which one has fewer pixels.
    passes
        Passes run so far.
    """

    graph: Graph
    used: int
    criterion: Criterion
    screen: Screen
    prune: float
    workers: Workers
    alive: int
    arena: Arena
    token: int = 1
    small: float = 0.0
    passes: int = 0

    def __post_init__(self) -> None:
        """Prepare the scratch memory."""
        arena, nodes = self.arena, self.graph.pixel.size
        self.stride = record_words(self.criterion.steps)
        self._marks: queue.SimpleQueue[Marks] = queue.SimpleQueue()
        self._merged = arena.empty(nodes + 1, np.int32)
        shares = len(self.workers.ranges(nodes)[0])
        self._waiting = arena.empty(nodes + shares, np.int32)
        self._living = arena.empty(nodes, np.int32)
        self._living_ends: list[int] = []
        self._list_living()
        for _ in range(min(self.workers.threads, shares)):
            self._marks.put(Marks(arena.empty(nodes, np.int32)))

    def run(self, limit: float) -> None:
        """Run passes until one merges nothing.

        Parameters
        ----------
        limit
            Pairs of this cost and above stay apart.
        """
        while True:
            self.passes += 1
            merged = self._one_pass(limit)
            if self.alive < 0.1 * self.graph.pixel.size:
                self._drop_dead()
            if not merged:
                return

    def run_in_window(self, limit: float, last: int, *, waits: bool) -> NDArray[np.int32]:
        """Run the passes from the second to the one numbered ``last``, while nodes stop from the edge inwards.

        That is all that this merger can do then: the graph is to be handed over.

        Parameters
        ----------
        limit
            Pairs of this cost and above stay apart.
        last
            Number of the last pass.
        waits
            Whether what stops is to go on in the graph of the whole; else it is tainted.

        Returns
        -------
        numpy.ndarray
            The nodes that have stopped.
        """
        arena, nodes = self.arena, self.graph.pixel.size
        rim, best, cost = arena.empty(nodes + 1, np.int32), arena.empty(nodes, np.int32), arena.empty(nodes, np.float32)
        marks = self._marks.get()
        scratch = (self._living, self._merged, self._waiting, marks.mark, rim, best, cost)
        rules = (limit, self.criterion, self.screen, at_least(self.prune))
        word, count = stopping.run_window(self.graph, self.used, *scratch, waits, last, *rules)
        self.graph = self.graph._replace(word=word, real=word.view(np.float32))
        self.token = last
        return np.asarray(rim[:count])

    def catch_up(self, limit: float, last: int) -> None:
        """Take what waited in windows through the passes that it has missed, up to the one numbered ``last``.

        Parameters
        ----------
        limit
            Pairs of this cost and above stay apart.
        last
            Number of the last pass in windows.
        """
        lows, highs = self._ranges()
        ends = np.zeros((len(lows), last + 2), np.int64)
        listed = [np.empty(high - low, np.int32) for low, high in zip(lows, highs, strict=True)]
        self.workers.map(
            lambda k: waiting.list_waiting(self.graph, lows[k], highs[k], last + 1, listed[k], ends[k]),
            range(len(lows)),
        )
        groups = [
            [nodes[end[turn - 1] : end[turn]] for nodes, end in zip(listed, ends, strict=True)]
            for turn in range(1, last + 2)
        ]
        self._living_ends = [
            self._wake(woken, self.token, low, low) for woken, low in zip(groups[1], lows, strict=True)
        ]
        for turn, (woken, following) in enumerate(pairwise(groups[1:]), start=2):
            self._one_pass(limit, ready=turn, woken=woken, following=following)
        self._list_living()

    def scratch(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return two arrays of one number per node and one more, of no use to the merger between passes."""
        return self._waiting, self._merged

    def restart(self, prune: float, small: float) -> None:
        """Evaluate what was pruned, and look at every node again."""
        self.prune, self.small = prune, small
        token = self._next_token()
        self._each(steps.restart, token, self.criterion, self.screen, at_least(prune), small)
        self.token = token

    def wake(self) -> None:
        """Look at every node again, because the limit has risen."""
        self.graph.flags(DIRTY)[:] = self.token

    def _wake(self, woken: NDArray[np.int32], token: int, low: int, end: int) -> int:
        return int(waiting.wake(self.graph, woken, token, self._living, low, end))

    def _one_pass(self, limit: float, ready: int = EVERY, woken: Shares = (), following: Shares = ()) -> int:
        # All that wait for a pass not after ``ready`` take part, of which ``woken`` waited for this very one and
        # ``following`` wait for the next. Return how many pairs merged.
        token = self._next_token()
        previous = self.token  # changed where tokens begin again
        lows, highs = self._ranges()
        common = (self.criterion, self.screen)
        asked = (previous, token, ready, limit, *common, self._merged)
        found = self.workers.map(
            lambda low, end: steps.select(self.graph, self._living, low, end, *asked), lows, self._living_ends
        )
        counts = [one[0] for one in found]
        self._living_ends = [one[4] for one in found]
        merged = sum(counts)
        if not merged and not woken:
            return 0
        needs = [one[1] for one in found]
        largest = max(one[2] for one in found)
        if (self.used + sum(needs)) * POOL > self.graph.word.size:
            self._move_lists(sum(needs))
        cursors = [self.used + sum(needs[:k]) for k in range(len(needs))]
        graph, merging = self.graph, self._merged
        rules = (token, *common, at_least(self.prune), self.small)
        queues = [self._waiting[low + k : high + k + 1] for k, (low, high) in enumerate(zip(lows, highs, strict=True))]

        def rebuild(k: int, marks: Marks) -> tuple[int, int, NDArray[np.int32]]:
            share = (lows[k], counts[k], cursors[k], lows[k], highs[k])
            opened = waiting.reopen(graph, self.criterion.steps, woken[k], token, queues[k]) if woken else 0
            scratch = (largest, marks.mark, marks.first(found[k][3]), queues[k], opened)
            cursor, waits, beyond, marks.stamp = rebuilding.rebuild(graph, merging, *share, *rules, *scratch)
            return cursor, waits, beyond

        def refresh(k: int, marks: Marks) -> int:
            beside = np.unique(strangers[(strangers >= lows[k]) & (strangers < highs[k])])
            if beside.size:
                steps.refresh(graph, beside, beside.size, *rules, True, marks.mark)
            steps.refresh(graph, queues[k], results[k][1], *rules, False, marks.mark)
            end = self._living_ends[k]
            return self._wake(following[k], token, lows[k], end) if following else end

        results = self._marked(rebuild, range(len(lows)))
        self.used = results[-1][0]
        strangers = np.concatenate([beyond for _, _, beyond in results])  # neighbours across the borders of the shares
        self._living_ends = self._marked(refresh, range(len(lows)))
        self.token = token
        self.alive -= merged
        return int(merged)

    def _next_token(self) -> int:
        if self.token < LAST_TOKEN:
            return self.token + 1
        state, dirty = self.graph.flags(STATE), self.graph.flags(DIRTY)
        state[state != DEAD] = ALIVE
        dirty[:] = np.where(dirty == self.token, 1, 0)
        self.token = 1
        return 2

    def _ranges(self) -> tuple[list[int], list[int]]:
        return self.workers.ranges(self.graph.pixel.size)

    def _list_living(self) -> None:
        """List all nodes, share by share; the dead among them are dropped in the next pass."""
        nodes = self.graph.pixel.size
        self._living[:nodes] = np.arange(nodes, dtype=np.int32)
        self._living_ends = self._ranges()[1]

    def _each(self, kernel: Any, *rest: Any) -> list[Any]:  # noqa: ANN401 - a numba dispatcher
        lows, highs = self._ranges()
        graph = self.graph
        if len(lows) == 1:
            return [kernel(graph, lows[0], highs[0], *rest)]
        return self.workers.map(lambda low, high: kernel(graph, low, high, *rest), lows, highs)

    def _marked(self, work: Callable[..., Any], shares: range) -> list[Any]:
        def marked(share: int) -> Any:  # noqa: ANN401 - what the kernel returns
            marks = self._marks.get()
            try:
                return work(share, marks)
            finally:
                self._marks.put(marks)

        if len(shares) == 1:
            return [marked(shares[0])]
        return self.workers.map(marked, shares)

    def _move_lists(self, need: int) -> None:
        live = int(compacting.count_blocks(self.graph, self.stride))
        nodes = self.graph.pixel.size
        first = pool_start(nodes, self.stride)
        word = NO_ARENA.empty((first + live + need + nodes) * POOL, np.int32)
        self.used = int(compacting.move_lists(self.graph, self.stride, word, first))
        self.graph = self.graph._replace(word=word, real=word.view(np.float32))

    def _drop_dead(self) -> None:
        shares = zip(self._ranges()[0], self._living_ends, strict=True)
        living = np.concatenate([self._living[low:end] for low, end in shares])
        alive = int(compacting.drop_dead(self.graph, self.stride, living))
        graph = self.graph
        side, byte = graph.side[: SIDE * alive], graph.byte[: BYTES * alive]
        self.graph = graph._replace(side=side, byte=byte, pixel=graph.pixel[:alive], exact=graph.exact[:alive])
        self._list_living()
