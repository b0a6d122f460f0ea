# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""The passes in a window, and how far into it nodes stop because of what is not known beyond its edge."""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.compacting import count_blocks, move_lists
from landslip.objects.kernels.compiled import block_at, compiled, get, inlined, prefetch, put
from landslip.objects.kernels.layout import (
    BEST,
    BEST_COST,
    BLOCK,
    BLOCKS,
    BYTES,
    ERROR,
    LANES,
    LINE,
    MEANS,
    NAME,
    POOL,
    SIDE,
    WAITS,
    Graph,
)
from landslip.objects.kernels.passes import refresh, select
from landslip.objects.kernels.rebuilding import rebuild

AHEAD = 4
"""How many nodes ahead memory is asked for."""


@inlined
def _stop(byte, rim, end, j, turn):
    put(byte, j * BYTES + WAITS, turn)
    rim[end] = j
    return end + 1


@inlined
def _fetch_ahead(word, side, stride, rim, q, end):
    if q + 2 * AHEAD < end:
        prefetch(word, np.int64(rim[q + 2 * AHEAD]) * stride)
        prefetch(word, np.int64(rim[q + 2 * AHEAD]) * stride + LINE)
    if q + AHEAD < end:
        for k in range(BLOCK):
            prefetch(side, np.int64(get(word, np.int64(rim[q + AHEAD]) * stride + NAME + k)) * SIDE)


@inlined
def _stop_neighbours(word, side, byte, stride, rim, low, high, turn):
    # those of rim[low:high], put behind
    end = high
    for q in range(low, high):
        _fetch_ahead(word, side, stride, rim, q, high)
        record = np.int64(rim[q]) * stride
        for number in range(np.int64(get(word, record + BLOCKS))):
            block = block_at(word, record, number)
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                if get(byte, j * BYTES + WAITS) == 0:
                    end = _stop(byte, rim, end, j, turn)
    return end


@inlined
def _may_merge(real, record, limit):
    return np.float64(get(real, record + BEST_COST)) - np.float64(get(real, record + ERROR)) < limit


@compiled
def spread(graph, steps, limit, rim, low, high, turn, waits):
    """Stop what cannot take part in the pass numbered ``turn``, or what others must still see as it was before it.

    A node's decision depends on its own neighbours, and on the neighbours of the one it would merge with. So *open*
    nodes stop, which have a neighbour that did not take part in the pass before (before the second pass: those at the
    edge), and those that would merge with an open one. ``waits``: so do two that would merge with each other, if one
    of them is the neighbour of an open node: that is to go on later, and then must still see what they were.

    Newly stopped are ``rim[low:high]``; what stops now is put behind, first the open ones. Return where these end, and
    where all do.
    """
    word, real, side, byte = graph.word, graph.real, graph.side, graph.byte
    stride = MEANS + 2 * LANES * len(steps)
    first, near = low, high
    if turn > 2 or not waits:
        first, near = high, _stop_neighbours(word, side, byte, stride, rim, low, high, turn)
    end = near
    for q in range(first, near):
        _fetch_ahead(word, side, stride, rim, q, near)
        i = np.int64(rim[q])
        for number in range(np.int64(get(word, i * stride + BLOCKS))):
            block = block_at(word, i * stride, number)
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                if get(byte, j * BYTES + WAITS) != 0:
                    continue
                best = np.int64(get(side, j * SIDE + BEST))
                mutual = waits and best >= 0 and get(side, best * SIDE + BEST) == j
                if (best == i or mutual) and _may_merge(real, j * stride, limit):
                    end = _stop(byte, rim, end, j, turn)
                    if get(byte, best * BYTES + WAITS) == 0:
                        end = _stop(byte, rim, end, best, turn)
    return near, end


@inlined
def _remember(graph, stride, rim, low, high, best, cost):
    # the least pairs of nodes, and what they cost
    for q in range(low, high):
        i = np.int64(rim[q])
        put(best, q, get(graph.side, i * SIDE + BEST))
        put(cost, q, get(graph.real, i * stride + BEST_COST))


@inlined
def _restore(graph, stride, rim, low, high, best, cost):
    # give them back: what they would merge with has stopped too, and bears the same name
    for q in range(low, high):
        i = np.int64(rim[q])
        put(graph.side, i * SIDE + BEST, get(best, q))
        put(graph.real, i * stride + BEST_COST, get(cost, q))


@compiled
def run_window(
    graph, used, living, merged, waiting, mark, rim, best, cost, waits, last, limit, criterion, screen, prune
):
    """Run the passes from the second to the one numbered ``last``, while nodes stop further and further inwards.

    ``waits``: see :func:`spread`. ``used`` is where the unused part of the pool begins; the other arrays are for use
    here. A pass has its number for token. Return the records, which were moved if the pool did not suffice, and how
    many nodes have stopped: the first of ``rim``.
    """
    steps = criterion.steps
    stride = MEANS + 2 * LANES * len(steps)
    nodes = graph.pixel.size
    none, no = np.int64(0), np.bool_(False)  # kernels would be compiled once more for literals
    low, high = none, none
    for i in range(nodes):
        living[i] = i
        mark[i] = 0
        rim[high] = i
        high += get(graph.byte, i * BYTES + WAITS) != 0
    living_end, stamp = np.int64(nodes), np.int64(1)
    for turn in range(2, last + 1):
        near, end = spread(graph, steps, limit, rim, low, high, turn, waits)
        known = near if waits else end  # those from here on know their least pairs, and keep them
        _remember(graph, stride, rim, known, end, best, cost)
        count, need, largest, entries, living_end = select(
            graph, living, none, living_end, turn - 1, turn, none, limit, criterion, screen, merged
        )
        if (used + need) * POOL > graph.word.size:
            first = -(-nodes * stride // POOL)
            word = np.empty((first + count_blocks(graph, stride) + need + nodes) * POOL, np.int32)
            used = move_lists(graph, stride, word, first)
            graph = Graph(word, word.view(np.float32), graph.exact, graph.side, graph.byte, graph.pixel, graph.forest)
        if stamp + entries >= 2**31:
            for i in range(nodes):
                mark[i] = 0
            stamp = np.int64(1)
        used, count, _, stamp = rebuild(
            graph, merged, none, count, used, none, nodes,
            turn, criterion, screen, prune, 0.0, largest, mark, stamp, waiting, none,
        )  # fmt: skip
        refresh(graph, waiting, count, turn, criterion, screen, prune, 0.0, no, mark)
        _restore(graph, stride, rim, known, end, best, cost)
        low, high = high if turn > 2 else low, end
    return graph.word, high
