# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""One pass on the graph. Each step writes only what belongs to its own share of the nodes.

1. :func:`select` finds the pairs that are each other's least and joins their statistics;
2. :func:`rebuild` joins the lists of merged nodes, evaluates the costs to their neighbours and tells them;
3. :func:`refresh` finds the new least pairs of those neighbours for which that is not clear at once.

Nodes whose neighbourhood did not change are not looked at. Kernels inline what they use and call little else:
numba counts references to all arrays at each call. What happens to an entry of a list cannot be guessed, so
there are selections where branches would be natural, and what will be needed soon is fetched ahead.
"""

from __future__ import annotations

import numpy as np

from landslip.objects.compiled import (
    ALIVE,
    BEST_COST,
    BLOCK,
    BLOCKS,
    COST,
    DEAD,
    EDGES,
    ERROR,
    LANES,
    LINE,
    LONG,
    MEANS,
    MORE,
    NAME,
    OPEN,
    PERIMETER,
    POOL,
    ROOM,
    SIZE,
    block_at,
    compiled,
    copy_block,
    first_bit,
    get,
    inlined,
    join_boxes,
    least,
    lower,
    named,
    named_either,
    prefetch,
    put,
    within,
)
from landslip.objects.costs import UNSURE, exact_best, exact_cost, join_exact, kept, rough_cost, set_record

BEHIND, RING = 128, 1024
"""How many neighbours are told before the first of them looks for its least pair again, while it is still at hand;
and how many may be waiting for that."""

AHEAD = 4
"""How many merged nodes ahead memory is asked for."""


@inlined
def _rough_best(word, real, record, best, i):
    # returns whether the errors leave it open, and up to which cost
    low = least(real, record + COST)
    blocks = np.int64(get(word, record + BLOCKS))
    for number in range(1, blocks):
        low = min(low, least(real, block_at(word, record, number) + COST))
    error = get(real, record + ERROR)
    bound = low + (error + error)
    count, chosen = np.int64(0), np.int64(-1)
    for number in range(blocks):
        block = block_at(word, record, number)
        bits = within(real, block + COST, bound)
        if bits:
            chosen = np.int64(get(word, block + NAME + first_bit(bits)))
            count += 1 if bits & (bits - 1) == 0 else 2
    unclear = low < np.inf and count != 1
    best[i] = chosen if low < np.inf else -1
    put(real, record + BEST_COST, low)
    return unclear, bound


@compiled
def select(graph, low, high, previous, token, limit, criterion, screen, merged):
    """Merge the mutually least pairs that a node of the range speaks for, tainted ones left out.

    ``merged[low:]`` gets the survivors. Return how many they are, how many further blocks their lists take at
    most, the most blocks that any two of them have together, and the number of entries of all.
    """
    word, real, exact, box, pixel, slot = graph.word, graph.real, graph.exact, graph.box, graph.pixel, graph.slot
    state, dirty, taint, parent, best = graph.state, graph.dirty, graph.taint, graph.parent, graph.best
    forest = graph.forest
    steps = criterion.steps
    stride = MEANS + 2 * LANES * len(steps)
    found = low
    for i in range(low, high):
        k = np.int64(best[i])
        known = k if k >= 0 else i
        # one of the two speaks for the pair: the only dirty one, or the lower
        yields = (dirty[known] == previous) & (pixel[known] < pixel[i])
        merged[found] = i
        proven = (taint[i] == 0) & (taint[known] == 0)
        found += (dirty[i] == previous) & (state[i] != DEAD) & (k >= 0) & (best[known] == i) & (not yields) & proven
    count = 0
    for q in range(low, found):
        if q + 4 * AHEAD < found:
            prefetch(word, np.int64(get(merged, q + 4 * AHEAD)) * stride + LINE)
        i = np.int64(merged[q])
        k = np.int64(best[i])
        rough = np.float64(get(real, i * stride + BEST_COST))
        error = np.float64(get(real, i * stride + ERROR))
        if not rough + error < limit:
            if rough - error >= limit:
                continue
            edges = _shared(word, i * stride, k)
            if not exact_cost(word, exact, box, i, k, edges, criterion) < limit:
                continue
        merged[low + count] = i if pixel[i] < pixel[k] else k
        count += 1
    need, largest, entries = np.int64(0), np.int64(0), np.int64(1)
    for q in range(low, low + count):
        if q + 2 * AHEAD < low + count:
            far = np.int64(merged[q + 2 * AHEAD])
            for _ in range(2):
                prefetch(word, far * stride)
                prefetch(word, far * stride + LINE)
                prefetch(box, 4 * far)
                prefetch(slot, far)
                prefetch(parent, far)
                for column in range(0, 2 * LANES * len(steps), LINE // 2):
                    prefetch(exact, far * 2 * LANES * len(steps) + column)
                far = np.int64(best[far])
        s = np.int64(merged[q])
        d = np.int64(best[s])
        at, gone = s * stride, d * stride
        shared = _shared(word, at, d)
        size_1, size_2 = get(word, at + SIZE), get(word, gone + SIZE)
        n1, n2 = np.float64(size_1), np.float64(size_2)
        join_exact(steps, exact, s, d, n1, n2)
        join_boxes(box, s, d)
        perimeter = get(word, at + PERIMETER) + get(word, gone + PERIMETER) - 2 * shared
        set_record(steps, word, real, exact, box, s, size_1 + size_2, perimeter, screen)
        state[s] = token
        state[d] = DEAD
        parent[d] = s
        forest[slot[d]] = slot[s]
        together = np.int64(get(word, at + BLOCKS)) + get(word, gone + BLOCKS)
        largest = max(largest, together)
        entries += together * BLOCK + 1
        room = max(get(word, at + ROOM), get(word, gone + ROOM))
        need += together - 1 if together - 1 > room else 0
    return count, need, largest, entries


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


@inlined
def _fetch_neighbours(word, box, parent, mark, best, record, stride):
    for k in range(BLOCK):
        j = np.int64(get(word, record + NAME + k))
        for line in range(0, stride, LINE):
            prefetch(word, j * stride + line)
        prefetch(box, 4 * j)
        prefetch(parent, j)
        prefetch(mark, j)
        prefetch(best, j)


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
    token, criterion, screen, prune, small, largest, mark, stamp, waiting,
):  # fmt: skip
    """Join the lists of merged nodes, evaluate their costs, find their least pairs, and tell their neighbours.

    Further blocks that no list has room for are taken from the pool at ``cursor``. Neighbours in the range
    learn here what it means for their least pair; those that must look for it again are put into ``waiting``.
    Those beyond the range are left to others. ``mark`` says where in the joined list a node is, in numbers from
    ``stamp`` on that grow from list to list. Return the new cursor, how many wait, those beyond the range, and
    the next stamp.
    """
    word, real, box = graph.word, graph.real, graph.box
    state, dirty, parent, best = graph.state, graph.dirty, graph.parent, graph.best
    steps = criterion.steps
    stride = MEANS + 2 * LANES * len(steps)
    room_for = (largest + 1) * BLOCK + 1
    names, edges = np.empty(room_for, np.int32), np.zeros(room_for, np.int32)
    costs, errors = np.empty(room_for, np.float32), np.empty(room_for, np.float32)
    told = np.empty(room_for, np.int32)
    beyond = np.empty(64, np.int32)
    strangers = 0
    open_nodes = 0
    later, soon, done = np.empty(RING, np.int32), np.int64(0), np.int64(0)
    never, unknown = np.float32(np.inf), np.float32(np.nan)
    always = never if small > 0.0 else np.float32(0.0)
    for q in range(first, first + count):
        if q + 2 * AHEAD < first + count:
            far = np.int64(get(merged, q + 2 * AHEAD))
            prefetch(word, far * stride)
            prefetch(word, far * stride + LINE)
            far = np.int64(get(best, far))
            prefetch(word, far * stride)
            prefetch(word, far * stride + LINE)
        if q + AHEAD < first + count:
            near = np.int64(get(merged, q + AHEAD)) * stride
            _fetch_neighbours(word, box, parent, mark, best, near, stride)
            prefetch(word, np.int64(get(word, near + MORE)) * POOL)
            near = np.int64(get(best, np.int64(get(merged, q + AHEAD)))) * stride
            _fetch_neighbours(word, box, parent, mark, best, near, stride)
            prefetch(word, np.int64(get(word, near + MORE)) * POOL)
        if q + AHEAD // 2 < first + count:
            near = np.int64(get(merged, q + AHEAD // 2))
            _fetch_more(word, near * stride, stride)
            _fetch_more(word, np.int64(get(best, near)) * stride, stride)
        i = np.int64(get(merged, q))
        other = np.int64(get(best, i))
        record = i * stride
        put(dirty, i, token)
        # join the two lists under the names that hold after this pass; the first place is for i itself
        put(names, 0, i)
        put(mark, i, stamp)
        end = np.int64(1)
        source = record
        for _ in range(2):
            for number in range(np.int64(get(word, source + BLOCKS))):
                block = block_at(word, source, number)
                for k in range(BLOCK):
                    j = np.int64(get(parent, np.int64(get(word, block + NAME + k))))
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
            f, error = rough_cost(steps, word, real, box, i, j, get(edges, e), screen)
            put(costs, e, f if not f - error >= prune else never)
            put(errors, e, error)
            worst = error if error > worst else worst
            doubt += error
            put(dirty, j, token)
            put(told, tell, e)
            tell += get(state, j) != token  # else it finds the same cost itself
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
                    open_nodes += get(best, j) != OPEN
                    put(best, j, OPEN)
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
                rival, rough = get(best, j), get(real, there + BEST_COST)
                margin = larger + larger + always
                better = f < rough - margin
                keep = (rival != i) & (rival != other) & ((f > rough + margin) | (f == never))
                lost = not (better | keep)
                put(best, j, OPEN if lost else (i if better else np.int64(rival)))
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
            unclear, bound = _rough_best(word, real, j * stride, best, j)
            if unclear or small > 0.0:
                _settle(graph, j, bound, small, criterion)
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
        unclear, bound = _rough_best(word, real, record, best, i)
        if unclear or small > 0.0:
            _settle(graph, i, bound, small, criterion)
    for k in range(done, soon):
        put(waiting, open_nodes, get(later, k & (RING - 1)))
        open_nodes += 1
    return cursor, open_nodes, beyond[:strangers], stamp


@compiled
def _append(numbers, count, number):
    # into an array that grows
    if count == numbers.size:
        more = np.empty(2 * count, np.int32)
        more[:count] = numbers
        numbers = more
    numbers[count] = number
    return numbers


@compiled
def _settle(graph, i, bound, small, criterion):
    # let the exact costs decide
    chosen, rough = exact_best(graph, i, np.float32(np.inf) if small > 0.0 else bound, small, criterion)
    graph.best[i] = chosen
    graph.real[i * (MEANS + 2 * LANES * len(criterion.steps)) + BEST_COST] = rough


@compiled
def _look_again(graph, i, small, criterion):
    stride = MEANS + 2 * LANES * len(criterion.steps)
    unclear, bound = _rough_best(graph.word, graph.real, i * stride, graph.best, i)
    if unclear or small > 0.0:
        _settle(graph, i, bound, small, criterion)


@compiled
def refresh(graph, waiting, count, token, criterion, screen, prune, small, anew, mark):
    """Find the least pairs of ``waiting[:count]``; with ``anew`` after evaluating all their costs."""
    word, real, box = graph.word, graph.real, graph.box
    state, parent, best = graph.state, graph.parent, graph.best
    stride = MEANS + 2 * LANES * len(criterion.steps)
    for q in range(count):
        if q + 2 * AHEAD < count:
            far = np.int64(waiting[q + 2 * AHEAD]) * stride
            prefetch(word, far)
            prefetch(word, far + LINE)
            prefetch(best, np.int64(waiting[q + 2 * AHEAD]))
        if q + AHEAD < count:
            prefetch(word, np.int64(get(word, np.int64(waiting[q + AHEAD]) * stride + MORE)) * POOL + LINE)
        i = np.int64(waiting[q])
        record = i * stride
        if get(word, record + BLOCKS) > LONG:
            _correct_long(i, criterion.steps, token, prune, screen, mark, word, real, box, state, parent)
        if anew:
            _evaluate(i, criterion.steps, prune, screen, word, real, box)
        unclear, bound = _rough_best(word, real, record, best, i)
        if unclear or small > 0.0:
            _settle(graph, i, bound, small, criterion)


@compiled
def _correct_long(i, steps, token, prune, screen, mark, word, real, box, state, parent):
    # rename the merged neighbours of a long list, join their entries, and evaluate their costs
    record = i * (MEANS + 2 * LANES * len(steps))
    end = np.int64(0)
    worst = get(real, record + ERROR)
    blocks = np.int64(get(word, record + BLOCKS))
    for number in range(blocks):
        block = block_at(word, record, number)
        for k in range(BLOCK):
            j = np.int64(parent[get(word, block + NAME + k)])
            if j == i:
                continue
            f = get(real, block + COST + k)
            edges = get(word, block + EDGES + k)
            if state[j] == token:
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
            f, error = kept(*rough_cost(steps, word, real, box, i, j, edges, screen), prune)
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
def _evaluate(i, steps, prune, screen, word, real, box):
    # compute all costs of a list, and their largest error, anew
    record = i * (MEANS + 2 * LANES * len(steps))
    worst = np.float32(0.0)
    for number in range(np.int64(get(word, record + BLOCKS))):
        block = block_at(word, record, number)
        for k in range(BLOCK):
            j = np.int64(get(word, block + NAME + k))
            if j != i:
                edges = get(word, block + EDGES + k)
                f, error = kept(*rough_cost(steps, word, real, box, i, j, edges, screen), prune)
                put(real, block + COST + k, f)
                worst = max(worst, error)
    put(real, record + ERROR, worst)


@compiled
def restart(graph, low, high, token, criterion, screen, prune, small):
    """Evaluate the costs of a range anew, find every least pair and wake every node."""
    word, real, box = graph.word, graph.real, graph.box
    state, dirty, best = graph.state, graph.dirty, graph.best
    stride = MEANS + 2 * LANES * len(criterion.steps)
    for i in range(low, high):
        if state[i] == DEAD:
            continue
        state[i] = ALIVE
        dirty[i] = token
        _evaluate(i, criterion.steps, prune, screen, word, real, box)
        unclear, bound = _rough_best(word, real, i * stride, best, i)
        if unclear or small > 0.0:
            _settle(graph, i, bound, small, criterion)


@compiled
def spread_taint(graph, steps, limit, rim, low, high):
    """Taint what the coming pass might get wrong.

    A node's decision depends on its own neighbours, and on the neighbours of the one it would merge with. Tainted
    nodes stay as they are. Newly tainted are ``rim[low:high]``; what is tainted now is put behind. Return where
    it ends.
    """
    word, real, taint, best = graph.word, graph.real, graph.taint, graph.best
    stride = MEANS + 2 * LANES * len(steps)
    end = high
    for q in range(low, high):
        i = np.int64(rim[q])
        for number in range(np.int64(get(word, i * stride + BLOCKS))):
            block = block_at(word, i * stride, number)
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                if taint[j] == 0:
                    taint[j] = 1
                    rim[end] = j
                    end += 1
    near = end
    for q in range(high, near):
        i = np.int64(rim[q])
        for number in range(np.int64(get(word, i * stride + BLOCKS))):
            block = block_at(word, i * stride, number)
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                if taint[j] == 0 and best[j] == i:
                    rough = np.float64(get(real, j * stride + BEST_COST))
                    if rough - np.float64(get(real, j * stride + ERROR)) < limit:
                        taint[j] = 1
                        rim[end] = j
                        end += 1
    return end
