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
    PARENT,
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
def _stop_neighbours(word, side, byte, stride, rim, low, high, turn):
    # those of rim[low:high], put behind
    end = high
    for q in range(low, high):
        if q + 2 * AHEAD < high:
            prefetch(word, np.int64(rim[q + 2 * AHEAD]) * stride)
            prefetch(word, np.int64(rim[q + 2 * AHEAD]) * stride + LINE)
        if q + AHEAD < high:
            for k in range(BLOCK):
                prefetch(side, np.int64(get(word, np.int64(rim[q + AHEAD]) * stride + NAME + k)) * SIDE)
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
def spread_taint(graph, steps, limit, rim, low, high, turn):
    """Taint what the pass numbered ``turn`` might get wrong.

    A node's decision depends on its own neighbours, and on the neighbours of the one it would merge with. Tainted
    nodes stay as they are. Newly tainted are ``rim[low:high]``; what is tainted now is put behind. Return where
    it ends.
    """
    word, real, side, byte = graph.word, graph.real, graph.side, graph.byte
    stride = MEANS + 2 * LANES * len(steps)
    near = _stop_neighbours(word, side, byte, stride, rim, low, high, turn)
    end = near
    for q in range(high, near):
        i = np.int64(rim[q])
        for number in range(np.int64(get(word, i * stride + BLOCKS))):
            block = block_at(word, i * stride, number)
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                free = get(byte, j * BYTES + WAITS) == 0
                if free and get(side, j * SIDE + BEST) == i and _may_merge(real, j * stride, limit):
                    end = _stop(byte, rim, end, j, turn)
    return end


@compiled
def spread_waiting(graph, steps, limit, rim, low, high, turn):
    """Stop what cannot take part in the pass numbered ``turn``, or what others must still see as it was before it.

    Open is a node whose least pair is not known, because a neighbour stopped before the pass before this one (before
    the second pass: one at the edge). Open nodes stop, and those that would merge with one. Those that would merge
    with each other stop too if one of them has an open neighbour, which could not do without what they were.
    Newly stopped are ``rim[low:high]``; what stops now is put behind. Return where it ends.
    """
    word, real, side, byte = graph.word, graph.real, graph.side, graph.byte
    stride = MEANS + 2 * LANES * len(steps)
    first, near = low, high
    if turn > 2:
        first, near = high, _stop_neighbours(word, side, byte, stride, rim, low, high, turn)
    end = near
    for q in range(first, near):
        if q + 2 * AHEAD < near:
            prefetch(word, np.int64(rim[q + 2 * AHEAD]) * stride)
            prefetch(word, np.int64(rim[q + 2 * AHEAD]) * stride + LINE)
        if q + AHEAD < near:
            for k in range(BLOCK):
                prefetch(side, np.int64(get(word, np.int64(rim[q + AHEAD]) * stride + NAME + k)) * SIDE)
        i = np.int64(rim[q])
        for number in range(np.int64(get(word, i * stride + BLOCKS))):
            block = block_at(word, i * stride, number)
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                if get(byte, j * BYTES + WAITS) != 0:
                    continue
                best = np.int64(get(side, j * SIDE + BEST))
                mutual = best >= 0 and get(side, best * SIDE + BEST) == j
                if (best == i or mutual) and _may_merge(real, j * stride, limit):
                    end = _stop(byte, rim, end, j, turn)
                    if get(byte, best * BYTES + WAITS) == 0:
                        end = _stop(byte, rim, end, best, turn)
    return end


@compiled
def _remember(graph, stride, rim, low, high):
    # the least pairs of nodes, and what they cost
    best, cost = np.empty(high - low, np.int32), np.empty(high - low, np.float32)
    for q in range(high - low):
        i = np.int64(rim[low + q])
        best[q] = get(graph.side, i * SIDE + BEST)
        cost[q] = get(graph.real, i * stride + BEST_COST)
    return best, cost


@compiled
def _restore(graph, stride, rim, low, best, cost):
    # give them back, under the names that hold after a pass
    for q in range(best.size):
        i = np.int64(rim[low + q])
        known = np.int64(best[q])
        put(graph.side, i * SIDE + BEST, get(graph.side, known * SIDE + PARENT) if known >= 0 else known)
        put(graph.real, i * stride + BEST_COST, cost[q])


@compiled
def run_window(graph, used, living, merged, waiting, mark, rim, waits, last, limit, criterion, screen, prune):
    """Run the passes from the second to the one numbered ``last``, while nodes stop further and further inwards.

    With ``waits`` they do so as :func:`spread_waiting` says, else :func:`spread_taint`. ``used`` is where the unused
    part of the pool begins; the other arrays are for use here. A pass has its number for token. Return the records,
    which were moved if the pool did not suffice, and where ``living`` ends.
    """
    steps = criterion.steps
    stride = MEANS + 2 * LANES * len(steps)
    nodes = graph.pixel.size
    low, high = np.int64(0), np.int64(0)
    for i in range(nodes):
        living[i] = i
        mark[i] = 0
        rim[high] = i
        high += get(graph.byte, i * BYTES + WAITS) != 0
    living_end, stamp = np.int64(nodes), np.int64(1)
    for turn in range(2, last + 1):
        if waits:
            end = spread_waiting(graph, steps, limit, rim, low, high, turn)
        else:
            end = spread_taint(graph, steps, limit, rim, low, high, turn)
        best, cost = _remember(graph, stride, rim, high, end)
        count, need, largest, entries, living_end = select(
            graph, living, 0, living_end, turn - 1, turn, 0, limit, criterion, screen, merged
        )
        if (used + need) * POOL > graph.word.size:
            first = -(-nodes * stride // POOL)
            word = np.empty((first + count_blocks(graph, stride) + need + nodes) * POOL, np.int32)
            used = move_lists(graph, stride, word, first)
            graph = Graph(word, word.view(np.float32), graph.exact, graph.side, graph.byte, graph.pixel, graph.forest)
        if stamp + entries >= 2**31:
            mark[:] = 0
            stamp = np.int64(1)
        used, count, _, stamp = rebuild(
            graph, merged, 0, count, used, 0, nodes,
            turn, criterion, screen, prune, 0.0, largest, mark, stamp, waiting, 0,
        )  # fmt: skip
        refresh(graph, waiting, count, turn, criterion, screen, prune, 0.0, False, mark)
        _restore(graph, stride, rim, high, best, cost)
        low, high = high if turn > 2 else low, end
    return graph.word, living_end
