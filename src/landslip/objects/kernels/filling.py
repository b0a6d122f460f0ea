# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""The graph after the first pass, from pixels: objects of one or two of them, their lists and least pairs.

Whether a pixel has merged, and in which direction, cannot be guessed. So places are computed where branches would be
natural: a pixel alone is a pair with itself, and a neighbour that is not there is the node itself.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from landslip.objects.kernels.best import settle
from landslip.objects.kernels.compiled import (
    DOUBLE,
    SINGLE,
    WORD,
    compiled,
    first_bit,
    get,
    inlined,
    least,
    named,
    prefetch,
    put,
    vector_at,
    within,
)
from landslip.objects.kernels.costs import (
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
    BOX,
    BYTES,
    COST,
    DIRTY,
    EDGES,
    ERROR,
    HAS_BELOW,
    HAS_RIGHT,
    LANES,
    LINE,
    MEANS,
    MORE,
    NAME,
    PARENT,
    ROOM,
    SIDE,
    SLOT,
    STATE,
    WAITS,
)

AHEAD = 8
"""How many nodes ahead memory is asked for."""

BEHIND = 4
"""How many nodes later a node's least pair is found: a vector is loaded fast only if its parts are stored by then."""


@compiled
def fill_graph(image, link, direction, firsts, starts, row0, col0, width, known, criterion, prune, screen, graph):
    """Fill the graph after the first pass.

    ``direction`` is that of pairs alone, ``firsts`` the first pixel of each node, ``starts`` the first node of each
    strip of columns, and the number of nodes. ``known`` are the rows (first, end) and the columns within which an
    object takes part in the second pass; others wait for it. The forest is turned into what it stays: each pixel's
    first pixel of its object, or -1.
    """
    rows, cols = link.shape
    forest = graph.forest
    flat_link, flat_direction = link.reshape(-1), direction.reshape(-1)
    lanes = LANES * len(criterion.steps)
    pixels = np.zeros(2 * cols * lanes, np.float32)
    _spread_row(image, 0, pixels, lanes)
    place = (row0, col0, width, known)
    ends = np.empty((4, starts.size - 1), np.int64)  # by turns, where the nodes of a row end in each strip
    for s in range(starts.size - 1):
        ends[:, s] = starts[s]
    for r in range(rows + 2):  # lists follow two rows behind, when all that they name is filled and still at hand
        if r + 1 < rows:
            _spread_row(image, r + 1, pixels, lanes)
        _fill_nodes(pixels, flat_direction, firsts, starts, ends, r, cols, place, criterion, screen, graph)
        _fill_lists(flat_link, flat_direction, firsts, starts, ends, r - 2, cols, criterion, prune, screen, graph)
    for p in range(forest.size):
        if forest[p] != -1:
            forest[p] = firsts[-2 - forest[p]]


@inlined
def _spread_row(image, r, pixels, lanes):
    # put the bands of each pixel beside each other, this row and the one before by turns
    bands, _, cols = image.shape
    for b in range(bands):
        at = (r & 1) * cols * lanes + b
        for c in range(cols):
            put(pixels, at + c * lanes, image[b, r, c])


@intrinsic
def _fill_exact(typing, steps, pixels, one, other, exact, i):
    """Write the exact statistics of two pixels, or of one given twice: powers of two do not round."""
    signature = types.void(steps, pixels, types.int64, types.int64, exact, types.int64)

    def generate(context, builder, signature, arguments):
        pixels = context.make_array(signature.args[1])(context, builder, arguments[1]).data
        exact = context.make_array(signature.args[4])(context, builder, arguments[4]).data
        steps = signature.args[0].count
        double = ir.VectorType(DOUBLE, LANES)
        half, quarter = (ir.Constant(double, [value] * LANES) for value in (0.5, 0.25))
        for step in range(steps):
            x = [
                builder.fpext(
                    vector_at(builder, pixels, builder.add(k, WORD(LANES * step)), ir.VectorType(SINGLE, LANES)), double
                )
                for k in arguments[2:4]
            ]
            d = builder.fsub(*x)
            mean = builder.fmul(builder.fadd(*x), half)
            scatter = builder.fmul(builder.fmul(d, d), quarter)
            at = builder.add(builder.mul(arguments[5], WORD(2 * LANES * steps)), WORD(LANES * step))
            for value, to in ((mean, at), (scatter, builder.add(at, WORD(LANES * steps)))):
                builder.store(value, builder.bitcast(builder.gep(exact, [to]), double.as_pointer()), align=8)
        return context.get_dummy_value()

    return signature, generate


@compiled
def _fill_nodes(pixels, direction, firsts, starts, ends, r, cols, place, criterion, screen, graph):
    # the objects whose first pixel is in a row, in each strip from where those of the row before end
    word, real, exact, side, byte = graph.word, graph.real, graph.exact, graph.side, graph.byte
    pixel = graph.pixel
    row0, col0, width, known = place
    lanes = LANES * len(criterion.steps)
    stride = MEANS + 2 * lanes
    top, bottom, left, right = known
    end = (r + 1) * cols
    for s in range(starts.size - 1):
        i = ends[(r - 1) & 3, s]
        while i < starts[s + 1] and get(firsts, i) < end:
            for line in range(0, stride, LINE):
                prefetch(word, (i + AHEAD) * stride + line)
            for line in range(0, 4 * lanes, LINE):
                prefetch(exact, ((i + AHEAD) * 4 * lanes + line) // 2)
            prefetch(side, (i + AHEAD) * SIDE)
            p = np.int64(get(firsts, i))
            d = get(direction, p)
            over, down = np.int64(d == 3), np.int64(d == 4)
            c = p - r * cols
            r2, c2 = r + down, c + over
            own = i * SIDE
            put(pixel, i, (row0 + r) * width + col0 + c)
            put(side, own + BOX, row0 + r)
            put(side, own + BOX + 1, col0 + c)
            put(side, own + BOX + 2, -(row0 + r2 + 1))
            put(side, own + BOX + 3, -(col0 + c2 + 1))
            put(side, own + PARENT, i)
            put(side, own + SLOT, p)
            near = (r < top) | (r2 >= bottom) | (c < left) | (c2 >= right)
            put(byte, i * BYTES + STATE, ALIVE)
            put(byte, i * BYTES + DIRTY, 1)
            put(byte, i * BYTES + WAITS, 2 * near)
            one, other = ((r & 1) * cols + c) * lanes, ((r2 & 1) * cols + c2) * lanes
            _fill_exact(criterion.steps, pixels, one, other, exact, i)
            size = 1 + over + down
            set_record(criterion.steps, word, real, exact, i, size, 2 + 2 * size, 1 + size, screen)
            i += 1
        ends[r & 3, s] = i


@compiled
def _fill_lists(link, direction, firsts, starts, ends, r, cols, criterion, prune, screen, graph):
    # the lists of a row's nodes, one block each, and their least pairs
    word, real, side, forest = graph.word, graph.real, graph.side, graph.forest
    steps = criterion.steps
    stride = MEANS + 2 * LANES * len(steps)
    for s in range(ends.shape[1]):
        strip, low, high = starts[s], ends[(r - 1) & 3, s], ends[r & 3, s]
        for i in range(low, high + BEHIND):
            if i - BEHIND >= low:
                done = i - BEHIND
                record = done * stride
                lowest, worst = least(real, record + COST), get(real, record + ERROR)
                bound = lowest + (worst + worst)
                bits = within(real, record + COST, bound)
                put(side, done * SIDE + BEST, get(word, record + NAME + first_bit(bits)) if lowest < np.inf else -1)
                put(real, record + BEST_COST, lowest)
                if lowest < np.inf and bits & (bits - 1):
                    settle(graph, done, bound, 0.0, criterion)
            if i >= high:
                continue
            p = np.int64(get(firsts, i))
            d = get(direction, p)
            lying, standing = d == 3, d == 4
            p2 = p + (1 if lying else (cols if standing else 0))
            record = i * stride
            put(word, record + BLOCKS, 1)
            put(word, record + ROOM, 0)
            put(word, record + MORE, 0)
            # at the first pixel, and at the last; without a neighbour it is the node itself
            back, up = max(p - 1, 0), max(p - cols, 0)
            left = _node(forest, back if (p > 0) & (get(link, back) & HAS_RIGHT != 0) else p)
            above = _node(forest, up if (p >= cols) & (get(link, up) & HAS_BELOW != 0) else p)
            right = _node(forest, p2 + 1 if get(link, p2) & HAS_RIGHT else p)
            below = _node(forest, p2 + cols if get(link, p2) & HAS_BELOW else p)
            # the two sides that run along with another of the same object, perhaps towards one neighbour
            back = p2 - (cols if lying else 1)
            back = back if (lying & (p >= cols)) | standing & (back >= 0) else p
            on = p + (cols if lying else 1)
            link_back, link_on = (HAS_BELOW, HAS_BELOW) if lying else (HAS_RIGHT, HAS_RIGHT)
            pair = lying | standing
            beside_1 = _node(forest, back if pair & (get(link, back) & link_back != 0) else p)
            beside_2 = _node(forest, on if pair & (get(link, p) & link_on != 0) else p)
            with_1, with_2 = (above, below) if lying else (left, right)
            twice_1, twice_2 = (beside_1 == with_1) & (beside_1 != i), (beside_2 == with_2) & (beside_2 != i)
            _enter(word, record, left, (left != i) + (twice_1 & standing))
            _enter(word, record + 1, above, (above != i) + (twice_1 & lying))
            _enter(word, record + 2, right, (right != i) + (twice_2 & standing))
            _enter(word, record + 3, below, (below != i) + (twice_2 & lying))
            beside_1, beside_2 = i if twice_1 else beside_1, i if twice_2 else beside_2
            _enter(word, record + 4, beside_1, beside_1 != i)
            _enter(word, record + 5, beside_2, beside_2 != i)
            for k in range(6, BLOCK):
                _enter(word, record + k, i, 0)
                put(real, record + COST + k, np.float32(np.inf))
            worst = np.float32(0.0)
            for k in range(6):
                j = np.int64(get(word, record + NAME + k))
                f, error = np.float32(np.inf), np.float32(0.0)
                if (j > i) | (j < strip):
                    edges = get(word, record + EDGES + k)
                    f, error = kept(*rough_cost(steps, word, real, side, i, j, edges, screen), prune)
                elif j < i:  # the list of a node before this one in its strip is complete
                    there = j * stride
                    f = get(real, there + COST + first_bit(named(word, there + NAME, np.int32(i))))
                    error = get(real, there + ERROR)
                put(real, record + COST + k, f)
                worst = max(worst, error)
            put(real, record + ERROR, worst)


@inlined
def _node(forest, p):
    return -2 - np.int64(get(forest, p))


@inlined
def _enter(word, at, j, edges):
    put(word, at + NAME, j)
    put(word, at + EDGES, edges)
