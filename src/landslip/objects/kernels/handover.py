# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""From windows to the whole raster, and from there to labels."""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.compiled import (
    block_at,
    compiled,
    get,
    half_around,
    inlined,
    prefetch,
    put,
)
from landslip.objects.kernels.costs import (
    set_record,
)
from landslip.objects.kernels.layout import (
    ALIVE,
    BEST,
    BLOCK,
    BLOCKS,
    BOX,
    BYTES,
    DEAD,
    DIRTY,
    LANES,
    LINE,
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

AHEAD = 8
"""How many nodes ahead memory is asked for."""

# ---------------------------------------------------------------------------------------------------
# From windows to the graph of the whole
# ---------------------------------------------------------------------------------------------------


@compiled
def root_forest(forest):
    """Point every pixel straight at its object's first pixel. A parent is never after its pixel."""
    for p in range(forest.size):
        if forest[p] >= 0:
            forest[p] = forest[forest[p]]


@compiled
def own_nodes(graph, steps, row0, cols, top, bottom, left, right, mine, own):
    """Find the nodes of the core (rows ``top:bottom``, columns ``left:right`` of the window) once the passes are over.

    ``own`` gets the living whose first pixel is in the core, ``mine`` each living node's number among them, or -1.
    Return how many nodes are its own, and how many further blocks their lists take.
    """
    word, side, byte = graph.word, graph.side, graph.byte
    stride = MEANS + 2 * LANES * len(steps)
    nodes = 0
    for i in range(graph.pixel.size):
        if get(byte, i * BYTES + STATE) == DEAD:
            continue
        # the first pixel is in the first row of the object
        r = np.int64(get(side, i * SIDE + BOX)) - row0
        c = get(side, i * SIDE + SLOT) - r * cols
        inside = (top <= r < bottom) & (left <= c < right)
        mine[i] = nodes if inside else -1
        own[nodes] = i
        nodes += inside
    more = np.int64(0)
    for q in range(nodes):
        if q + AHEAD < nodes:
            prefetch(word, np.int64(own[q + AHEAD]) * stride + BLOCKS)
        more += get(word, np.int64(own[q]) * stride + BLOCKS) - 1
    return nodes, more


@compiled
def is_proven(graph, stopped, steps, row0, col0, cols, top, bottom, left, right, mine):
    """Return whether no object with a pixel in the core has ``stopped``, nor any neighbour of the core's own."""
    word, side = graph.word, graph.side
    forest = graph.forest
    stride = MEANS + 2 * LANES * len(steps)
    for q in range(stopped.size):
        i = np.int64(stopped[q])
        if mine[i] >= 0:
            return False
        for number in range(np.int64(get(word, i * stride + BLOCKS))):
            block = block_at(word, i * stride, number)
            for k in range(BLOCK):
                if mine[np.int64(get(word, block + NAME + k))] >= 0:
                    return False
        # pixels in the core, of an object that begins outside
        slot, box = get(side, i * SIDE + SLOT), i * SIDE + BOX
        first, last = max(left, get(side, box + 1) - col0), min(right, -get(side, box + 3) - col0)
        for r in range(max(top, get(side, box) - row0), min(bottom, -get(side, box + 2) - row0)):
            for c in range(first, last):
                if forest[r * cols + c] == slot:
                    return False
    return True


@compiled
def write_roots(forest, cols, top, left, row0, col0, width, out, out_row, out_col, rows_out, cols_out):
    """Write the first pixel, as an index in the whole raster, of each core pixel's object; -1 where invalid.

    The forest is turned into such indices, too: a parent is never after its pixel.
    """
    for r in range(top + rows_out):
        first = (row0 + r) * width + col0
        for c in range(cols):
            p = r * cols + c
            parent = np.int64(get(forest, p))
            known = np.int64(get(forest, max(parent, 0)))
            put(forest, p, first + c if parent == p else (known if parent >= 0 else parent))
    for r in range(rows_out):
        for c in range(cols_out):
            out[out_row + r, out_col + c] = forest[(top + r) * cols + left + c]


@compiled
def hand_over(graph, steps, token, turn, mine, own, part, first):
    """Copy the core's own nodes, their further blocks to ``first`` and following of the part's pool.

    All that do not wait for an earlier pass wait for the one numbered ``turn``, or need not be looked at in it.

    Neighbours are named by number among them, others by ``-1 - pixel``; ``best`` of none is the node itself. The
    part's records end before the rounded means, which depend on what they are relative to; its exact statistics
    are without what fills them up to whole vectors.
    """
    word, exact, side, byte, pixel = graph.word, graph.exact, graph.side, graph.byte, graph.pixel
    own_word, own_exact, own_side, own_byte, own_pixel = part.word, part.exact, part.side, part.byte, part.pixel
    stride = MEANS + 2 * LANES * len(steps)
    bands = own_exact.shape[1] >> 1
    cursor = np.int64(first)
    for me in range(own_pixel.size):
        if me + AHEAD < own_pixel.size:
            far = np.int64(own[me + AHEAD])
            prefetch(word, far * stride)
            prefetch(word, far * stride + LINE)
            prefetch(side, far * SIDE)
            for line in range(0, 4 * LANES * len(steps), LINE):
                prefetch(exact, (far * 4 * LANES * len(steps) + line) // 2)
        i = np.int64(own[me])
        for b in range(bands):
            own_exact[me, b] = exact[i, b]
            own_exact[me, bands + b] = exact[i, LANES * len(steps) + b]
        for at in range(SIDE):
            put(own_side, me * SIDE + at, get(side, i * SIDE + at))
        own_pixel[me] = pixel[i]
        waits = np.int64(get(byte, i * BYTES + WAITS))
        put(own_byte, me * BYTES + WAITS, waits if waits else turn + (get(byte, i * BYTES + DIRTY) != token))
        put(own_byte, me * BYTES + DIRTY, 0)
        chosen = np.int64(get(side, i * SIDE + BEST))
        if chosen < 0:
            put(own_side, me * SIDE + BEST, me)
        else:
            put(own_side, me * SIDE + BEST, mine[chosen] if mine[chosen] >= 0 else -1 - pixel[chosen])
        record = me * MEANS
        for at in range(MEANS):
            put(own_word, record + at, get(word, i * stride + at))
        blocks = np.int64(get(word, i * stride + BLOCKS))
        put(own_word, record + MORE, cursor)
        put(own_word, record + ROOM, blocks - 1)
        for number in range(blocks):
            block, to = block_at(word, i * stride, number), block_at(own_word, record, number)
            if number:
                for at in range(POOL):
                    put(own_word, to + at, get(word, block + at))
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                name = np.int64(mine[j])
                if name < 0:
                    name = -1 - np.int64(pixel[j])
                put(own_word, to + NAME + k, name)
        cursor += blocks - 1


@compiled
def place_part(part, graph, steps, first, part_pool, pool):
    """Copy a window's nodes, and its pool from ``part_pool`` on, to their place in the graph of the whole."""
    word, exact, side, pixel = part.word, part.exact, part.side, part.pixel
    to_word, to_exact, to_side, to_byte = graph.word, graph.exact, graph.side, graph.byte
    to_pixel = graph.pixel
    stride = MEANS + 2 * LANES * len(steps)
    bands, padded = exact.shape[1] >> 1, LANES * len(steps)
    for me in range(pixel.size):
        i = np.int64(first + me)
        for b in range(padded):
            to_exact[i, b] = exact[me, b] if b < bands else 0.0
            to_exact[i, padded + b] = exact[me, bands + b] if b < bands else 0.0
        for at in range(SIDE):
            put(to_side, i * SIDE + at, get(side, me * SIDE + at))
        to_pixel[i] = pixel[me]
        put(to_side, i * SIDE + PARENT, i)
        put(to_side, i * SIDE + SLOT, pixel[me])
        chosen = np.int64(get(side, me * SIDE + BEST))
        put(to_side, i * SIDE + BEST, chosen + first if chosen >= 0 else chosen)
        put(to_byte, i * BYTES + STATE, ALIVE)
        source, record = me * MEANS, i * stride
        for at in range(MEANS):
            put(to_word, record + at, get(word, source + at))
        shift = np.int64(pool - part_pool)
        put(to_word, record + MORE, np.int64(get(word, source + MORE)) + shift)
        for number in range(np.int64(get(word, source + BLOCKS))):
            block, to = block_at(word, source, number), block_at(to_word, record, number)
            if number:
                for at in range(POOL):
                    put(to_word, to + at, get(word, block + at))
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                put(to_word, to + NAME + k, j + first if j >= 0 else j)


@inlined
def _find(sought, pixel, bounds, rows, cols, across, width):
    cell = sought // width // rows * across + sought % width // cols
    a, b = bounds[cell, 0], bounds[cell, 1]
    while a < b:
        middle = (a + b) // 2
        if pixel[middle] < sought:
            a = middle + 1
        else:
            b = middle
    return a if a < bounds[cell, 1] and pixel[a] == sought else np.int64(-1)


@compiled
def complete(graph, low, high, steps, screen, bounds, rows, cols, across, width):
    """Fill the rounded part of the records, and replace neighbours named by pixel by their numbers.

    Nodes lie cell by cell, in order of pixels. Return how many neighbours were not found.
    """
    word, real, exact, side, pixel = graph.word, graph.real, graph.exact, graph.side, graph.pixel
    stride = MEANS + 2 * LANES * len(steps)
    missing = 0
    for i in range(low, high):
        record = i * stride
        n, perimeter = get(word, record + SIZE), get(word, record + PERIMETER)
        set_record(steps, word, real, exact, i, n, perimeter, half_around(side, i, i), screen)
        chosen = np.int64(get(side, i * SIDE + BEST))
        if chosen == i:
            put(side, i * SIDE + BEST, -1)
        elif chosen < 0:
            found = _find(-1 - chosen, pixel, bounds, rows, cols, across, width)
            missing += found < 0
            put(side, i * SIDE + BEST, found)
        for number in range(np.int64(get(word, record + BLOCKS))):
            block = block_at(word, record, number)
            for k in range(BLOCK):
                name = np.int64(get(word, block + NAME + k))
                if name < 0:
                    found = _find(-1 - name, pixel, bounds, rows, cols, across, width)
                    missing += found < 0
                    put(word, block + NAME + k, found)
    return missing


@compiled
def label_roots(roots, labels, pixel, bounds, cell_rows, cell_cols, across, width):
    """Replace each pixel's first pixel of its object in the windows by the final label, -1 by 0."""
    rows, cols = roots.shape
    for r in range(rows):
        last, label = np.int64(-1), np.int32(0)
        for c in range(cols):
            sought = np.int64(roots[r, c])
            if sought < 0:
                roots[r, c] = 0
                continue
            if sought != last:
                last = sought
                label = labels[_find(sought, pixel, bounds, cell_rows, cell_cols, across, width)]
            roots[r, c] = label


@compiled
def label_forest(forest):
    """Turn a forest over pixels into labels 1..n in raster order of first pixels, 0 = invalid; return n.

    A pixel's parent is never after the pixel, so it is already labelled when the pixel is reached.
    """
    count = 0
    for p in range(forest.size):
        parent = forest[p]
        if parent < 0:
            forest[p] = 0
        elif parent == p:
            count += 1
            forest[p] = count
        else:
            forest[p] = forest[parent]
    return count
