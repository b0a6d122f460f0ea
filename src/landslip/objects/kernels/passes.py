# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""One pass on the graph, in steps that threads take on shares of the nodes.

Pairs share no node, so it does not matter who merges them, nor when. Neighbours beyond a share are told entry by
entry, and evaluated again by their own share in the last step; whatever else is written of them is the same for all.

1. :func:`select` finds the pairs that are each other's least and joins their statistics;
2. :func:`rebuild` joins the lists of merged nodes, evaluates the costs to their neighbours and tells them;
3. :func:`refresh` finds the new least pairs of those neighbours for which that is not clear at once.

Nodes whose neighbourhood did not change are not looked at. Kernels inline what they use and call little else:
numba counts references to all arrays at each call. What happens to an entry of a list cannot be guessed, so
there are selections where branches would be natural, and what will be needed soon is fetched ahead.
"""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.best import rough_best, settle
from landslip.objects.kernels.compiled import (
    block_at,
    compiled,
    first_bit,
    get,
    half_around,
    inlined,
    join_boxes,
    named,
    prefetch,
    put,
)
from landslip.objects.kernels.costs import (
    exact_cost,
    join_exact,
    kept,
    rough_cost,
    set_record,
)
from landslip.objects.kernels.layout import (
    ALIVE,
    BEST,
    BEST_COST,
    BLOCK,
    BLOCKS,
    BYTES,
    COST,
    DEAD,
    DIRTY,
    EDGES,
    ERROR,
    LANES,
    LINE,
    LONG,
    MEANS,
    MORE,
    NAME,
    PARENT,
    PERIMETER,
    POOL,
    ROOM,
    SIDE,
    SIZE,
    SLOT,
    STATE,
    WAITS,
)

AHEAD, FURTHER = 4, 32
"""How many merged nodes, and how many nodes that are merely looked at, ahead memory is asked for."""


@compiled
def select(graph, living, low, living_end, previous, token, ready, limit, criterion, screen, merged):
    """Merge the mutually least pairs that a node of ``living[low:living_end]`` speaks for, if both are ready.

    Ready are those that wait for a pass not after ``ready``; others, and the dead, are dropped from that list.
    ``merged[low:]`` gets the survivors. Return how many they are, how many further blocks their lists take at most,
    the most blocks that any two of them have together, the number of entries of all, and where the list of the living
    ends now.
    """
    word, real, exact, side, byte = graph.word, graph.real, graph.exact, graph.side, graph.byte
    pixel, forest = graph.pixel, graph.forest
    steps = criterion.steps
    stride = MEANS + 2 * LANES * len(steps)
    found, kept_end = low, low
    for q in range(low, living_end):
        if q + 2 * FURTHER < living_end:
            prefetch(side, np.int64(get(living, q + 2 * FURTHER)) * SIDE)
            prefetch(side, np.int64(get(side, np.int64(get(living, q + FURTHER)) * SIDE + BEST)) * SIDE)
        i = np.int64(get(living, q))
        own = i * BYTES
        alive = get(byte, own + STATE) != DEAD
        put(living, kept_end, i)
        allowed = get(byte, own + WAITS) <= ready
        kept_end += alive & allowed
        k = np.int64(get(side, i * SIDE + BEST))
        known = k if k >= 0 else i
        other = known * BYTES
        # one of the two speaks for the pair: the only dirty one, or the lower
        yields = (get(byte, other + DIRTY) == previous) & (known < i)
        put(merged, found, i)
        both = allowed & (get(byte, other + WAITS) <= ready)
        looks = (get(byte, own + DIRTY) == previous) & alive
        found += looks & (k >= 0) & (get(side, known * SIDE + BEST) == i) & (not yields) & both
    count = 0
    for q in range(low, found):
        if q + FURTHER < found:
            prefetch(word, np.int64(get(merged, q + FURTHER)) * stride + LINE)
        i = np.int64(get(merged, q))
        k = np.int64(get(side, i * SIDE + BEST))
        rough = np.float64(get(real, i * stride + BEST_COST))
        error = np.float64(get(real, i * stride + ERROR))
        if not rough + error < limit:
            if rough - error >= limit:
                continue
            edges = _shared(word, i * stride, k)
            if not exact_cost(word, exact, side, i, k, edges, criterion) < limit:
                continue
        put(merged, low + count, i if pixel[i] < pixel[k] else k)
        count += 1
    need, largest, entries = np.int64(0), np.int64(0), np.int64(1)
    for q in range(low, low + count):
        if q + 4 * AHEAD < low + count:
            far = np.int64(merged[q + 4 * AHEAD])
            for _ in range(2):
                prefetch(word, far * stride)
                prefetch(word, far * stride + LINE)
                prefetch(side, far * SIDE)
                for column in range(0, 2 * LANES * len(steps), LINE // 2):
                    prefetch(exact, far * 2 * LANES * len(steps) + column)
                far = np.int64(get(side, far * SIDE + BEST))
        s = np.int64(merged[q])
        d = np.int64(get(side, s * SIDE + BEST))
        at, gone = s * stride, d * stride
        shared = _shared(word, at, d)
        size_1, size_2 = get(word, at + SIZE), get(word, gone + SIZE)
        n1, n2 = np.float64(size_1), np.float64(size_2)
        join_exact(steps, exact, s, d, n1, n2)
        join_boxes(side, s, d)
        perimeter = get(word, at + PERIMETER) + get(word, gone + PERIMETER) - 2 * shared
        set_record(steps, word, real, exact, s, size_1 + size_2, perimeter, half_around(side, s, s), screen)
        put(byte, s * BYTES + STATE, token)
        put(byte, d * BYTES + STATE, DEAD)
        put(side, d * SIDE + PARENT, s)
        put(forest, np.int64(get(side, d * SIDE + SLOT)), get(side, s * SIDE + SLOT))
        together = np.int64(get(word, at + BLOCKS)) + get(word, gone + BLOCKS)
        largest = max(largest, together)
        entries += together * BLOCK + 1
        room = max(get(word, at + ROOM), get(word, gone + ROOM))
        need += together - 1 if together - 1 > room else 0
    return count, need, largest, entries, kept_end


@inlined
def _shared(word, record, d):
    # edges shared with a neighbour
    number = np.int64(0)
    block = record
    bits = named(word, block + NAME, np.int32(d))
    while not bits:
        number += 1
        block = block_at(word, record, number)
        bits = named(word, block + NAME, np.int32(d))
    return get(word, block + EDGES + first_bit(bits))


@compiled
def refresh(graph, waiting, count, token, criterion, screen, prune, small, anew, mark):
    """Find the least pairs of ``waiting[:count]``; with ``anew`` after evaluating all their costs."""
    word, real, side, byte = graph.word, graph.real, graph.side, graph.byte
    stride = MEANS + 2 * LANES * len(criterion.steps)
    for q in range(count):
        if q + 2 * AHEAD < count:
            far = np.int64(waiting[q + 2 * AHEAD]) * stride
            prefetch(word, far)
            prefetch(word, far + LINE)
            prefetch(side, np.int64(waiting[q + 2 * AHEAD]) * SIDE)
        if q + AHEAD < count:
            prefetch(word, np.int64(get(word, np.int64(waiting[q + AHEAD]) * stride + MORE)) * POOL + LINE)
        i = np.int64(waiting[q])
        record = i * stride
        if get(word, record + BLOCKS) > LONG:
            _correct_long(i, criterion.steps, token, prune, screen, mark, word, real, side, byte)
        if anew:
            _evaluate(i, criterion.steps, prune, screen, word, real, side)
        unclear, bound = rough_best(word, real, record, side, i)
        if unclear or small > 0.0:
            settle(graph, i, bound, small, criterion)


@compiled
def _correct_long(i, steps, token, prune, screen, mark, word, real, side, byte):
    # rename the merged neighbours of a long list, join their entries, and evaluate their costs
    record = i * (MEANS + 2 * LANES * len(steps))
    end = np.int64(0)
    worst = get(real, record + ERROR)
    blocks = np.int64(get(word, record + BLOCKS))
    for number in range(blocks):
        block = block_at(word, record, number)
        for k in range(BLOCK):
            j = np.int64(get(side, np.int64(get(word, block + NAME + k)) * SIDE + PARENT))
            if j == i:
                continue
            f = get(real, block + COST + k)
            edges = get(word, block + EDGES + k)
            if get(byte, j * BYTES + STATE) == token:
                seen = -1 - np.int64(mark[j])  # negative, unlike the marks of rebuild
                if 0 <= seen < end:
                    place = block_at(word, record, seen >> 3) + (seen & 7)
                    if get(word, place + NAME) == j:
                        put(word, place + EDGES, get(word, place + EDGES) + edges)
                        continue
                mark[j] = -1 - end
                f = np.float32(np.nan)
            place = block_at(word, record, end >> 3) + (end & 7)
            put(word, place + NAME, j)
            put(word, place + EDGES, edges)
            put(real, place + COST, f)
            end += 1
    for e in range(end):
        place = block_at(word, record, e >> 3) + (e & 7)
        f = get(real, place + COST)
        if f != f:
            j = np.int64(get(word, place + NAME))
            edges = get(word, place + EDGES)
            f, error = kept(*rough_cost(steps, word, real, side, i, j, edges, screen), prune)
            put(real, place + COST, f)
            worst = max(worst, error)
    blocks = max((end + BLOCK - 1) >> 3, 1)
    put(word, record + BLOCKS, blocks)
    put(real, record + ERROR, worst)
    for e in range(end, blocks * BLOCK):
        place = block_at(word, record, e >> 3) + (e & 7)
        put(word, place + NAME, i)
        put(word, place + EDGES, 0)
        put(real, place + COST, np.float32(np.inf))


@inlined
def _evaluate(i, steps, prune, screen, word, real, side):
    # compute all costs of a list, and their largest error, anew
    record = i * (MEANS + 2 * LANES * len(steps))
    worst = np.float32(0.0)
    for number in range(np.int64(get(word, record + BLOCKS))):
        block = block_at(word, record, number)
        for k in range(BLOCK):
            j = np.int64(get(word, block + NAME + k))
            if j != i:
                edges = get(word, block + EDGES + k)
                f, error = kept(*rough_cost(steps, word, real, side, i, j, edges, screen), prune)
                put(real, block + COST + k, f)
                worst = max(worst, error)
    put(real, record + ERROR, worst)


@compiled
def restart(graph, low, high, token, criterion, screen, prune, small):
    """Evaluate the costs of a range anew, find every least pair and wake every node."""
    word, real, side, byte = graph.word, graph.real, graph.side, graph.byte
    stride = MEANS + 2 * LANES * len(criterion.steps)
    for i in range(low, high):
        if get(byte, i * BYTES + STATE) == DEAD:
            continue
        put(byte, i * BYTES + STATE, ALIVE)
        put(byte, i * BYTES + DIRTY, token)
        _evaluate(i, criterion.steps, prune, screen, word, real, side)
        unclear, bound = rough_best(word, real, i * stride, side, i)
        if unclear or small > 0.0:
            settle(graph, i, bound, small, criterion)
