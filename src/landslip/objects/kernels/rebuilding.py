# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""The middle step of a pass: joining the lists of merged nodes and telling their neighbours; see ``passes``.

What happens to an entry of a list cannot be guessed, so there are selections where branches would be natural,
and what will be needed soon is fetched ahead.
"""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.best import rough_best, settle
from landslip.objects.kernels.compiled import (
    block_at,
    compiled,
    copy_block,
    first_bit,
    get,
    inlined,
    lower,
    named_either,
    prefetch,
    put,
)
from landslip.objects.kernels.costs import (
    UNSURE,
    kept,
    rough_cost,
)
from landslip.objects.kernels.layout import (
    BEST,
    BEST_COST,
    BLOCK,
    BLOCKS,
    BYTES,
    COST,
    DIRTY,
    EDGES,
    ERROR,
    LANES,
    LINE,
    LONG,
    MEANS,
    MORE,
    NAME,
    OPEN,
    PARENT,
    POOL,
    ROOM,
    SIDE,
    STATE,
)

AHEAD = 4
"""How many merged nodes ahead memory is asked for."""


BEHIND, RING = 128, 1024
"""How many neighbours are told before the first of them looks for its least pair again, while it is still at hand;
and how many may be waiting for that."""


@inlined
def _fetch_neighbours(word, side, mark, record, stride):
    for k in range(BLOCK):
        j = np.int64(get(word, record + NAME + k))
        for line in range(0, stride, LINE):
            prefetch(word, j * stride + line)
        prefetch(side, j * SIDE)
        prefetch(mark, j)


@inlined
def _fetch_more(word, record, stride):
    # the second blocks of the neighbours' lists, where there are some
    for k in range(BLOCK):
        there = np.int64(get(word, np.int64(get(word, record + NAME + k)) * stride + MORE)) * POOL
        prefetch(word, there)
        prefetch(word, there + LINE)


@compiled
def rebuild(
    graph, merged, first, count, cursor, low, high,
    token, criterion, screen, prune, small, largest, mark, stamp, waiting, open_nodes,
):  # fmt: skip
    """Join the lists of merged nodes, evaluate their costs, find their least pairs, and tell their neighbours.

    Further blocks that no list has room for are taken from the pool at ``cursor``. Neighbours in the range
    learn here what it means for their least pair; those that must look for it again are put into ``waiting``,
    behind ``open_nodes`` that are there already. Those beyond the range are left to others. ``mark`` says where in
    the joined list a node is, in numbers from ``stamp`` on that grow from list to list. Return the new cursor, how
    many wait, those beyond the range, and the next stamp.
    """
    word, real, side, byte = graph.word, graph.real, graph.side, graph.byte
    steps = criterion.steps
    stride = MEANS + 2 * LANES * len(steps)
    room_for = (largest + 1) * BLOCK + 1
    names, edges = np.empty(room_for, np.int32), np.zeros(room_for, np.int32)
    costs, errors = np.empty(room_for, np.float32), np.empty(room_for, np.float32)
    told = np.empty(room_for, np.int32)
    beyond = np.empty(64, np.int32)
    strangers = np.int64(0)
    later, soon, done = np.empty(RING, np.int32), np.int64(0), np.int64(0)
    never, unknown = np.float32(np.inf), np.float32(np.nan)
    always = never if small > 0.0 else np.float32(0.0)
    for q in range(first, first + count):
        if q + 2 * AHEAD < first + count:
            far = np.int64(get(merged, q + 2 * AHEAD))
            prefetch(word, far * stride)
            prefetch(word, far * stride + LINE)
            far = np.int64(get(side, far * SIDE + BEST))
            prefetch(word, far * stride)
            prefetch(word, far * stride + LINE)
        if q + AHEAD < first + count:
            near = np.int64(get(merged, q + AHEAD)) * stride
            _fetch_neighbours(word, side, mark, near, stride)
            prefetch(word, np.int64(get(word, near + MORE)) * POOL)
            near = np.int64(get(side, np.int64(get(merged, q + AHEAD)) * SIDE + BEST)) * stride
            _fetch_neighbours(word, side, mark, near, stride)
            prefetch(word, np.int64(get(word, near + MORE)) * POOL)
        if q + AHEAD // 2 < first + count:
            near = np.int64(get(merged, q + AHEAD // 2))
            _fetch_more(word, near * stride, stride)
            _fetch_more(word, np.int64(get(side, near * SIDE + BEST)) * stride, stride)
        i = np.int64(get(merged, q))
        other = np.int64(get(side, i * SIDE + BEST))
        record = i * stride
        put(byte, i * BYTES + DIRTY, token)
        # join the two lists under the names that hold after this pass; the first place is for i itself
        put(names, 0, i)
        put(mark, i, stamp)
        end = np.int64(1)
        source = record
        for _ in range(2):
            for number in range(np.int64(get(word, source + BLOCKS))):
                block = block_at(word, source, number)
                for k in range(BLOCK):
                    j = np.int64(get(side, np.int64(get(word, block + NAME + k)) * SIDE + PARENT))
                    at = lower(np.int64(get(mark, j)) - stamp, end)
                    put(mark, j, stamp + at)
                    put(names, at, j)
                    put(edges, at, get(edges, at) + get(word, block + EDGES + k))
                    end += at == end
            source = other * stride
        stamp += end
        worst, doubt = np.float32(0.0), np.float32(0.0)
        tell = 0
        for e in range(1, end):
            j = np.int64(get(names, e))
            f, error = rough_cost(steps, word, real, side, i, j, get(edges, e), screen)
            put(costs, e, f if not f - error >= prune else never)
            put(errors, e, error)
            worst = error if error > worst else worst
            doubt += error
            put(byte, j * BYTES + DIRTY, token)
            put(told, tell, e)
            tell += get(byte, j * BYTES + STATE) != token  # else it finds the same cost itself
        if not doubt < UNSURE:
            for e in range(1, end):
                f, error = kept(get(costs, e), get(errors, e), prune)
                put(costs, e, f)
                put(errors, e, error)
                worst = max(worst, error)
        for t in range(tell):
            e = np.int64(get(told, t))
            j = np.int64(get(names, e))
            f, error, shared = get(costs, e), get(errors, e), get(edges, e)
            there = j * stride
            blocks = np.int64(get(word, there + BLOCKS))
            if blocks > LONG:
                if low <= j < high:
                    put(waiting, open_nodes, j)
                    open_nodes += get(side, j * SIDE + BEST) != OPEN
                    put(side, j * SIDE + BEST, OPEN)
                    put(real, there + BEST_COST, unknown)
                else:
                    beyond = _append(beyond, strangers, j)
                    strangers += 1
                continue
            # in the list of j, replace i and the node that it took in by i alone
            place, gone = there, there
            bits = named_either(word, there + NAME, np.int32(i), np.int32(other))
            rest = bits & (bits - 1)
            for number in range(1, blocks):
                block = block_at(word, there, number)
                found = named_either(word, block + NAME, np.int32(i), np.int32(other))
                if found:
                    rest = found & (found - 1) if bits == 0 else found
                    gone = block
                    place, bits = (block, found) if bits == 0 else (place, bits)
            where = place + first_bit(bits)
            put(word, where + NAME, i)
            put(word, where + EDGES, shared)
            put(real, where + COST, f)
            both = rest != 0
            where = gone + first_bit(rest) if both else where
            put(word, where + NAME, j if both else i)
            put(word, where + EDGES, np.int32(0) if both else shared)
            put(real, where + COST, never if both else f)
            if low <= j < high:
                larger = get(real, there + ERROR)
                larger = error if error > larger else larger
                put(real, there + ERROR, larger)
                rival, rough = get(side, j * SIDE + BEST), get(real, there + BEST_COST)
                margin = larger + larger + always
                better = f < rough - margin
                keep = (rival != i) & (rival != other) & ((f > rough + margin) | (f == never))
                lost = not (better | keep)
                put(side, j * SIDE + BEST, OPEN if lost else (i if better else np.int64(rival)))
                put(real, there + BEST_COST, unknown if lost else (f if better else rough))
                put(later, soon & (RING - 1), j)
                soon += lost & (rival != OPEN)
                if soon - done == RING:
                    _look_again(graph, np.int64(get(later, done & (RING - 1))), small, criterion)
                    done += 1
            else:
                beyond = _append(beyond, strangers, j)
                strangers += 1
        while soon - done > BEHIND:
            # what the list still says of nodes that are yet to be joined will be put right when they tell
            j = np.int64(get(later, done & (RING - 1)))
            done += 1
            unclear, bound = rough_best(word, real, j * stride, side, j)
            if unclear or small > 0.0:
                settle(graph, j, bound, small, criterion)
        # keep the list where there is room for it
        size = max((end - 1 + BLOCK - 1) >> 3, 1)
        if size > 1 and size - 1 > get(word, record + ROOM):
            loser = other * stride
            if size - 1 <= get(word, loser + ROOM):
                put(word, record + MORE, get(word, loser + MORE))
                put(word, record + ROOM, get(word, loser + ROOM))
            else:
                put(word, record + MORE, cursor)
                put(word, record + ROOM, size - 1)
                cursor += size - 1
        for e in range(end, 1 + size * BLOCK):
            put(names, e, i)
            put(costs, e, never)
        for number in range(size):
            block = block_at(word, record, number)
            copy_block(names, 1 + number * BLOCK, word, block + NAME)
            copy_block(edges, 1 + number * BLOCK, word, block + EDGES)
            copy_block(costs, 1 + number * BLOCK, real, block + COST)
        for e in range(end):
            put(edges, e, 0)
        put(word, record + BLOCKS, size)
        put(word, other * stride + BLOCKS, 0)
        put(real, record + ERROR, worst)
        unclear, bound = rough_best(word, real, record, side, i)
        if unclear or small > 0.0:
            settle(graph, i, bound, small, criterion)
    for k in range(done, soon):
        put(waiting, open_nodes, get(later, k & (RING - 1)))
        open_nodes += 1
    return cursor, open_nodes, beyond[:strangers], stamp


@compiled
def _append(numbers, count, number):
    # into an array that grows
    if count == numbers.size:
        more = np.empty(2 * count, np.int32)
        for k in range(count):
            more[k] = numbers[k]
        numbers = more
    numbers[count] = number
    return numbers


@compiled
def _look_again(graph, i, small, criterion):
    stride = MEANS + 2 * LANES * len(criterion.steps)
    unclear, bound = rough_best(graph.word, graph.real, i * stride, graph.side, i)
    if unclear or small > 0.0:
        settle(graph, i, bound, small, criterion)
