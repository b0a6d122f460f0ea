# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""From pixels to the graph after the first pass, which needs no graph: kernels over rows of pixels."""

from __future__ import annotations

import numpy as np

from landslip.objects.best import settle
from landslip.objects.compiled import (
    compiled,
    first_bit,
    get,
    inlined,
    least,
    named,
    put,
    within,
)
from landslip.objects.costs import (
    before,
    kept,
    rough_cost,
    scatter_of,
    set_record,
    shape_of,
)
from landslip.objects.layout import (
    ALIVE,
    BEST,
    BEST_COST,
    BLOCK,
    BLOCKS,
    BOX,
    BYTES,
    COST,
    DIRTY,
    EDGES,
    ERROR,
    HAS_BELOW,
    HAS_RIGHT,
    LANES,
    MEANS,
    MORE,
    NAME,
    PARENT,
    ROOM,
    SIDE,
    SIZE,
    SLOT,
    STATE,
    STRAY,
    TAINT,
    VALID,
)


@compiled
def links(image, valid, regions, out):
    """Fill ``out`` with the bits of each pixel.

    ``valid`` and ``regions`` may have no rows: all valid, one region. Pixels that are not finite, but valid
    otherwise, get the bit ``STRAY`` alone.
    """
    bands, rows, cols = image.shape
    masked = valid.shape[0] > 0
    divided = regions.shape[0] > 0
    for r in range(rows):
        for c in range(cols):
            out[r, c] = VALID if not masked or valid[r, c] else 0
        for b in range(bands):
            for c in range(cols):
                if out[r, c] and not np.isfinite(image[b, r, c]):
                    out[r, c] = STRAY
        for c in range(cols - 1):
            if out[r, c] & out[r, c + 1] & VALID and (not divided or regions[r, c] == regions[r, c + 1]):
                out[r, c] |= HAS_RIGHT
        if r > 0:
            for c in range(cols):
                if out[r - 1, c] & out[r, c] & VALID and (not divided or regions[r - 1, c] == regions[r, c]):
                    out[r - 1, c] |= HAS_BELOW


@compiled
def value_ranges(image, link, low, high):
    """Fill the least and the greatest valid value of each band; infinite the other way round if there is none."""
    bands, rows, cols = image.shape
    least_of, greatest_of = np.empty(cols, np.float32), np.empty(cols, np.float32)
    for b in range(bands):
        least_of[:] = np.inf
        greatest_of[:] = -np.inf
        for r in range(rows):
            for c in range(cols):
                x = image[b, r, c]
                counts = link[r, c] & VALID != 0
                least_of[c] = x if counts and x < least_of[c] else least_of[c]
                greatest_of[c] = x if counts and x > greatest_of[c] else greatest_of[c]
        low[b] = least_of.min()
        high[b] = greatest_of.max()


@compiled
def pixel_pairs(image, link, criterion, limit, row0, col0, width, direction):
    """Find each pixel's least pair: ``direction`` 0 none, 1 left, 2 up, 3 right, 4 down.

    For two pixels n·s of the pair is the absolute difference: √(d²/4) is |d|/2 to the last bit.
    """
    bands, rows, cols = image.shape
    compact, smooth = shape_of(2.0, 4.0 + 4.0 - 2.0 * 1.0, 3.0)
    compact_1, smooth_1 = shape_of(1.0, 4.0, 2.0)
    compact -= compact_1 + compact_1
    smooth -= smooth_1 + smooth_1
    shape = criterion.compactness * compact + (1.0 - criterion.compactness) * smooth
    constant = (1.0 - criterion.color) * shape
    right = np.empty(cols, np.float64)
    above = np.full(cols, np.inf)
    below = np.empty(cols, np.float64)
    for r in range(rows):
        right[:] = 0.0
        below[:] = 0.0
        for b in range(bands):
            weight = criterion.weights[b]
            for c in range(cols - 1):
                right[c] += weight * abs(np.float64(image[b, r, c + 1]) - np.float64(image[b, r, c]))
            if r + 1 < rows:
                for c in range(cols):
                    below[c] += weight * abs(np.float64(image[b, r + 1, c]) - np.float64(image[b, r, c]))
        for c in range(cols):
            cost = criterion.color * right[c] + constant
            right[c] = cost if link[r, c] & HAS_RIGHT and cost < limit else np.inf
            cost = criterion.color * below[c] + constant
            below[c] = cost if link[r, c] & HAS_BELOW and cost < limit else np.inf
        left = np.inf
        for c in range(cols):
            least_cost = min(min(left, above[c]), min(right[c], below[c]))
            equal = (
                (left == least_cost) + (above[c] == least_cost) + (right[c] == least_cost) + (below[c] == least_cost)
            )
            d = 4 if below[c] == least_cost else 0
            d = 3 if right[c] == least_cost else d
            d = 2 if above[c] == least_cost else d
            d = 1 if left == least_cost else d
            d = d if least_cost < np.inf else 0
            if equal > 1 and d:
                own = (row0 + r) * width + col0 + c
                d, other = 0, np.int64(0)
                for k in range(1, 5):
                    cost, there = (left, own - 1) if k == 1 else (above[c], own - width)
                    if k > 2:
                        cost, there = (right[c], own + 1) if k == 3 else (below[c], own + width)
                    if cost == least_cost and (d == 0 or before(own, there, other)):
                        d, other = k, there
            direction[r, c] = d
            left = right[c]
        above, below = below, above


@compiled
def number_nodes(link, direction, forest):
    """Give objects numbers by their first pixel; return how many they are.

    ``forest`` gets, per pixel, -1 where invalid, else ``-2 - node``.
    """
    rows, cols = link.shape
    nodes = 0
    for r in range(rows):
        for c in range(cols):
            p = r * cols + c
            if not link[r, c] & VALID:
                forest[p] = -1
                continue
            d = direction[r, c]
            if d == 1 and direction[r, c - 1] == 3:
                forest[p] = forest[p - 1]
            elif d == 2 and direction[r - 1, c] == 4:
                forest[p] = forest[p - cols]
            else:
                forest[p] = -2 - nodes
                nodes += 1
    return nodes


@compiled
def fill_graph(image, link, direction, row0, col0, width, bare, criterion, prune, screen, graph):
    """Fill the graph after the first pass: objects of one or two pixels, their lists and least pairs.

    ``bare`` are the four sides (top, bottom, left, right) at which the raster goes on beyond the window:
    objects within three pixels of them are tainted. The forest is turned into what it stays: each pixel's first
    pixel of its object, or -1.
    """
    rows = link.shape[0]
    side, forest = graph.side, graph.forest
    filled, listed = 0, 0
    before_last, last = 0, 0
    for r in range(rows + 2):  # lists follow two rows behind, when all that they name is filled and still at hand
        before_last, last = last, filled
        if r < rows:
            filled = _fill_nodes(image, direction, r, filled, row0, col0, width, bare, criterion, screen, graph)
        _fill_lists(link, direction, listed, before_last, criterion, prune, screen, graph)
        listed = before_last
    for p in range(forest.size):
        if forest[p] != -1:
            forest[p] = side[SIDE * (-2 - np.int64(forest[p])) + SLOT]


@compiled
def _fill_nodes(image, direction, r, first, row0, col0, width, bare, criterion, screen, graph):
    # the objects whose first pixel is in a row; returns the number of the next
    word, real, exact, side, byte = graph.word, graph.real, graph.exact, graph.side, graph.byte
    pixel, forest = graph.pixel, graph.forest
    bands, rows, cols = image.shape
    padded = exact.shape[1] >> 1
    i = np.int64(first)
    for c in range(cols):
        if forest[r * cols + c] != -2 - i:
            continue
        d = direction[r, c]
        r2, c2 = r, c
        if d == 3 and direction[r, c + 1] == 1:
            c2 = c + 1
        elif d == 4 and direction[r + 1, c] == 2:
            r2 = r + 1
        pixel[i] = (row0 + r) * width + col0 + c
        pair = r2 != r or c2 != c
        own = i * SIDE
        put(side, own + BOX, row0 + r)
        put(side, own + BOX + 1, col0 + c)
        put(side, own + BOX + 2, -(row0 + r2 + 1))
        put(side, own + BOX + 3, -(col0 + c2 + 1))
        put(side, own + PARENT, i)
        put(side, own + SLOT, r * cols + c)
        for b in range(bands, padded):
            exact[i, b] = 0.0
            exact[i, padded + b] = 0.0
        for b in range(bands):
            x1, x2 = np.float64(image[b, r, c]), np.float64(image[b, r2, c2])
            exact[i, b] = (1.0 * x1 + 1.0 * x2) / 2.0 if pair else x1
            exact[i, padded + b] = scatter_of(1.0, 1.0, 2.0, 0.0, 0.0, x1 - x2) if pair else 0.0
        set_record(criterion.steps, word, real, exact, side, i, 2 if pair else 1, 6 if pair else 4, screen)
        near = (
            (bare[0] and r < 3) or (bare[1] and r2 >= rows - 3) or (bare[2] and c < 3) or (bare[3] and c2 >= cols - 3)
        )
        put(byte, i * BYTES + STATE, ALIVE)
        put(byte, i * BYTES + DIRTY, 1)
        put(byte, i * BYTES + TAINT, 1 if near else 0)
        i += 1
    return i


@compiled
def _fill_lists(link, direction, low, high, criterion, prune, screen, graph):
    # the lists of a range of nodes, one block each, and their least pairs
    word, real, side, forest = graph.word, graph.real, graph.side, graph.forest
    steps = criterion.steps
    cols = link.shape[1]
    stride = MEANS + 2 * LANES * len(steps)
    for i in range(low, high):
        first = np.int64(get(side, i * SIDE + SLOT))
        r, c = first // cols, first % cols
        record = i * stride
        put(word, record + BLOCKS, 1)
        put(word, record + ROOM, 0)
        put(word, record + MORE, 0)
        pair = get(word, record + SIZE) == 2
        # the second pixel lies to the right, below, or there is none; its links are looked at alike
        lying = pair and direction[r, c] == 3
        r2, c2 = (r, c + 1) if lying else ((r + 1, c) if pair else (r, c))
        p, p2 = r * cols + c, r2 * cols + c2
        for k in range(BLOCK):
            put(word, record + NAME + k, i)
            put(word, record + EDGES + k, 0)
            put(real, record + COST + k, np.float32(np.inf))
        # sides of the first and of the last pixel that cannot be shared with another pixel's
        if c > 0 and link[r, c - 1] & HAS_RIGHT:
            _enter(word, record, -2 - forest[p - 1])
        if r > 0 and link[r - 1, c] & HAS_BELOW:
            _enter(word, record + 1, -2 - forest[p - cols])
        if link[r2, c2] & HAS_RIGHT:
            _enter(word, record + 2, -2 - forest[p2 + 1])
        if link[r2, c2] & HAS_BELOW:
            _enter(word, record + 3, -2 - forest[p2 + cols])
        if pair:
            # the two sides that run along with another of the same object, perhaps towards one neighbour
            if lying:
                if r > 0 and link[r - 1, c2] & HAS_BELOW:
                    _enter_beside(word, record + 1, record + 4, -2 - forest[p2 - cols])
                if link[r, c] & HAS_BELOW:
                    _enter_beside(word, record + 3, record + 5, -2 - forest[p + cols])
            else:
                if c > 0 and link[r2, c - 1] & HAS_RIGHT:
                    _enter_beside(word, record, record + 4, -2 - forest[p2 - 1])
                if link[r, c] & HAS_RIGHT:
                    _enter_beside(word, record + 2, record + 5, -2 - forest[p + 1])
        worst = np.float32(0.0)
        for k in range(6):
            j = np.int64(get(word, record + NAME + k))
            if j == i:
                continue
            if j < i:
                there = j * stride
                f = get(real, there + COST + first_bit(named(word, there + NAME, np.int32(i))))
                worst = max(worst, get(real, there + ERROR))
            else:
                edges = get(word, record + EDGES + k)
                f, error = kept(*rough_cost(steps, word, real, side, i, j, edges, screen), prune)
                worst = max(worst, error)
            put(real, record + COST + k, f)
        put(real, record + ERROR, worst)
        lowest = least(real, record + COST)
        bound = lowest + (worst + worst)
        bits = within(real, record + COST, bound)
        put(side, i * SIDE + BEST, get(word, record + NAME + first_bit(bits)) if lowest < np.inf else -1)
        put(real, record + BEST_COST, lowest)
        if lowest < np.inf and bits & (bits - 1):
            settle(graph, i, bound, 0.0, criterion)


@inlined
def _enter(word, at, j):
    put(word, at + NAME, j)
    put(word, at + EDGES, 1)


@inlined
def _enter_beside(word, at, other, j):
    if get(word, at + NAME) == j:
        put(word, at + EDGES, get(word, at + EDGES) + 1)
    else:
        put(word, other + NAME, j)
        put(word, other + EDGES, 1)
