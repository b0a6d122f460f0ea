# Compiled functions carry no annotations: numba infers their types, and what mypy would make of them misleads.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202, ANN401
"""All compiled code of the segmentation, in one module because numba's cache watches one file.

Every kernel is serial and releases the interpreter lock; parallelism comes from running one kernel on
several ranges or windows from several threads, so that no threading layer is involved and any number of
callers, threads or forked processes may segment at once. No fast-math and no contraction: costs are the
same bits everywhere, and the same whichever of two objects is named first.

A graph holds objects ("nodes") and, for each, the list of its neighbours. A pass has three steps, each of
which writes only what belongs to its own share of the nodes (or what several would write alike):

1. :func:`select` finds the pairs that are each other's least and joins their statistics;
2. :func:`rebuild` joins the lists of merged nodes, evaluates the costs to their neighbours and tells them;
3. :func:`refresh` finds the new least pairs of the nodes around.

Nodes whose neighbourhood did not change are not looked at. What is needed together lies together, in whole
cache lines: most of the time of a naive program goes into waiting for memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

SIZE, PERIMETER, COMPACT, SMOOTH, _BOX, _BOX_2, BANDS = range(7)
"""Columns of a node: pixels; edges; n·l/√n; n·l/B; two for the bounding box; then mean, n·s², n·s per band."""

TOP, BOTTOM, LEFT, RIGHT = range(2 * _BOX, 2 * _BOX + 4)
"""Columns of the same memory seen as 32-bit integers: the bounding box, ends exclusive."""

DEAD, ALIVE = 0, 255
"""Values of ``Graph.state``; every other value is the token of the pass in which the node last merged."""

BLOCK = 8
"""Lists are kept in blocks of this many entries, which are searched without a branch per entry."""

EDGES, COST = BLOCK, BLOCK
"""Where in a block the shared edges (as integers) and the costs (as floats) begin; the names are in front."""

LONG = 8
"""Lists of more blocks are put right by their own node, once per pass, instead of entry by entry by others."""

OPEN = -2
"""``Graph.best`` of a node whose least pair must be looked for again in this pass."""

HAS_RIGHT, HAS_BELOW, VALID, STRAY = 1, 2, 4, 8
"""Bits of a pixel: may join its right neighbour, the one below; is valid; is not finite where it should be."""


class Graph(NamedTuple):
    """Nodes (first axis) and the pool of blocks that hold their lists of neighbours."""

    node: NDArray[np.float64]
    """``(nodes, columns)``, see :data:`SIZE` and following; rows are whole cache lines."""
    box: NDArray[np.int32]
    """The same memory as integers, for the bounding box."""
    pixel: NDArray[np.int32]
    """Lowest pixel index in the whole raster: the object's id."""
    slot: NDArray[np.int32]
    """Index in ``forest``."""
    state: NDArray[np.uint8]
    dirty: NDArray[np.uint8]
    """Token of the pass in which the neighbourhood last changed."""
    taint: NDArray[np.uint8]
    """0 proven; 1 newly, 2 earlier within reach of a window's edge."""
    parent: NDArray[np.int32]
    """The node itself, or the survivor of one that died in this pass."""
    best: NDArray[np.int32]
    """The neighbour of the least pair, or -1."""
    best_cost: NDArray[np.float64]
    start: NDArray[np.int32]
    """First block of the list."""
    blocks: NDArray[np.int32]
    """Blocks of the list; unused entries name the node itself at infinite cost."""
    room: NDArray[np.int32]
    """Blocks that the list may grow to where it is."""
    name: NDArray[np.int32]
    """``(blocks, 32)``: eight neighbours, then the edges shared with each."""
    cost: NDArray[np.float64]
    """``(blocks, 16)``, the same memory: the last eight are the costs of the pairs; infinite where a pair can
    never merge at the scales asked for."""
    forest: NDArray[np.int32]
    """Where a dead node's object has gone, by slot; a lower or equal slot for pixels."""


class Criterion(NamedTuple):
    """Weights of the merge criterion; those of the bands are filled up with zeros to whole vectors."""

    bands: int
    weights: NDArray[np.float64]
    color: float
    compactness: float


def _compile(function: Callable[..., Any]) -> Any:
    try:
        return numba.njit(nogil=True, error_model="numpy", fastmath=False, cache=True)(function)
    except RuntimeError:  # no place for the cache can be written to: compile anew in each process
        return numba.njit(nogil=True, error_model="numpy", fastmath=False)(function)


def _inline(function: Callable[..., Any]) -> Any:
    return numba.njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)(function)


# ---------------------------------------------------------------------------------------------------
# The criterion (Baatz & Schäpe 2000) and the order of pairs
# ---------------------------------------------------------------------------------------------------


@_inline
def _scatter(n1, n2, n, v1, v2, d):
    # s_m² from n1·s1², n2·s2² and the difference of the means: a sum of positive terms, so stable
    return (v1 + v2) / n + n1 * n2 * (d * d) / (n * n)


@intrinsic
def _prefetch(typing, array, row, column):
    """Ask for the cache line of an element of a two-dimensional array."""
    signature = types.void(array, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0])
        columns = cgutils.unpack_tuple(builder, data.shape, 2)[1]
        index = builder.add(builder.mul(arguments[1], columns), arguments[2])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        pointer = builder.bitcast(builder.gep(data.data, [index]), byte)
        builder.call(function, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return signature, generate


LANES = 4
"""Bands evaluated at once."""


def _vector_at(builder: Any, data: Any, index: Any, vector: Any, align: int) -> Any:
    return builder.load(builder.bitcast(builder.gep(data, [index]), vector.as_pointer()), align=align)


def _spread(builder: Any, value: Any, lanes: int) -> Any:
    kind, number = ir.VectorType(value.type, lanes), ir.IntType(32)
    empty = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(empty, value, number(0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(number, lanes), [0] * lanes))


def _bits(builder: Any, mask: Any) -> Any:
    return builder.zext(builder.bitcast(mask, ir.IntType(BLOCK)), ir.IntType(64))


@intrinsic
def _named(typing, name, block, node):
    """Find which entries of a block name a node, as bits."""
    signature = types.int64(name, types.int64, types.int32)

    def generate(context, builder, signature, arguments):
        names = context.make_array(signature.args[0])(context, builder, arguments[0])
        vector = ir.VectorType(ir.IntType(32), BLOCK)
        first = builder.mul(arguments[1], ir.IntType(64)(4 * BLOCK))
        block = _vector_at(builder, names.data, first, vector, 4)
        return _bits(builder, builder.icmp_signed("==", block, _spread(builder, arguments[2], BLOCK)))

    return signature, generate


@intrinsic
def _least(typing, cost, block):
    """Find the least cost of a block, and which entries have it, as bits."""
    signature = types.Tuple((types.float64, types.int64))(cost, types.int64)

    def generate(context, builder, signature, arguments):
        costs = context.make_array(signature.args[0])(context, builder, arguments[0])
        number = ir.IntType(32)
        first = builder.add(builder.mul(arguments[1], ir.IntType(64)(2 * BLOCK)), ir.IntType(64)(COST))
        block = _vector_at(builder, costs.data, first, ir.VectorType(ir.DoubleType(), BLOCK), 8)
        lanes, part = BLOCK, block
        while lanes > 1:
            lanes //= 2
            empty = ir.Constant(part.type, ir.Undefined)
            half = ir.VectorType(number, lanes)
            low = builder.shuffle_vector(part, empty, ir.Constant(half, list(range(lanes))))
            high = builder.shuffle_vector(part, empty, ir.Constant(half, list(range(lanes, 2 * lanes))))
            part = builder.select(builder.fcmp_ordered("<", low, high), low, high)
        least = builder.extract_element(part, number(0))
        bits = _bits(builder, builder.fcmp_ordered("==", block, _spread(builder, least, BLOCK)))
        return context.make_tuple(builder, signature.return_type, [least, bits])

    return signature, generate


@intrinsic
def _first(typing, bits):
    """Return the position of the lowest bit set."""
    signature = types.int64(types.int64)

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return signature, generate


@intrinsic
def _color(typing, node, i, j, n1, n2, n, bands, weights):
    """Σ w·[n·s_m − (n1·s_1 + n2·s_2)] with the bands in vectors, summed in order: the bits of the plain loop.

    Lanes beyond the last band read what follows in memory (finite numbers) and count with weight zero.
    """
    signature = types.float64(node, i, j, n1, n2, n, types.int64, weights)

    def generate(context, builder, signature, arguments):
        node_type, weights_type = signature.args[0], signature.args[7]
        nodes = context.make_array(node_type)(context, builder, arguments[0])
        weights = context.make_array(weights_type)(context, builder, arguments[7])
        word, double = ir.IntType(64), ir.DoubleType()
        vector = ir.VectorType(double, LANES)
        square_root = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector]), f"llvm.sqrt.v{LANES}f64"
        )
        columns = cgutils.unpack_tuple(builder, nodes.shape, 2)[1]
        bands = arguments[6]

        rows = []
        for index, kind in zip(arguments[1:3], signature.args[1:3], strict=True):
            wide = context.cast(builder, index, kind, types.int64)
            rows.append(builder.add(builder.mul(wide, columns), word(BANDS)))
        n1, n2, n = arguments[3:6]
        product, square, size = (
            _spread(builder, value, LANES) for value in (builder.fmul(n1, n2), builder.fmul(n, n), n)
        )
        total = cgutils.alloca_once_value(builder, double(0.0))
        steps = builder.sdiv(cgutils.unpack_tuple(builder, weights.shape, 1)[0], word(LANES))
        with cgutils.for_range(builder, steps) as loop:
            offset = builder.mul(loop.index, word(LANES))
            column = [builder.add(row, offset) for row in rows]
            mean = [_vector_at(builder, nodes.data, at, vector, 8) for at in column]
            column = [builder.add(at, bands) for at in column]
            v = [_vector_at(builder, nodes.data, at, vector, 8) for at in column]
            column = [builder.add(at, bands) for at in column]
            s = [_vector_at(builder, nodes.data, at, vector, 8) for at in column]
            d = builder.fsub(mean[0], mean[1])
            between = builder.fdiv(builder.fmul(product, builder.fmul(d, d)), square)
            scatter = builder.fadd(builder.fdiv(builder.fadd(v[0], v[1]), size), between)
            joined = builder.fmul(size, builder.call(square_root, [scatter]))
            term = builder.fsub(joined, builder.fadd(s[0], s[1]))
            term = builder.fmul(_vector_at(builder, weights.data, offset, vector, 8), term)
            value = builder.load(total)
            for lane in range(LANES):
                value = builder.fadd(value, builder.extract_element(term, ir.IntType(32)(lane)))
            builder.store(value, total)
        return builder.load(total)

    return signature, generate


@_inline
def _shape(n, perimeter, height, width):
    box = 2.0 * (height + width)
    return n * perimeter / np.sqrt(n), n * perimeter / box


@_inline
def _pair_cost(node, box, i, j, shared, criterion):
    n1, n2 = node[i, SIZE], node[j, SIZE]
    n = n1 + n2
    perimeter = node[i, PERIMETER] + node[j, PERIMETER] - 2.0 * shared
    height = max(box[i, BOTTOM], box[j, BOTTOM]) - min(box[i, TOP], box[j, TOP])
    width = max(box[i, RIGHT], box[j, RIGHT]) - min(box[i, LEFT], box[j, LEFT])
    compact, smooth = _shape(n, perimeter, np.float64(height), np.float64(width))
    compact -= node[i, COMPACT] + node[j, COMPACT]
    smooth -= node[i, SMOOTH] + node[j, SMOOTH]
    shape = criterion.compactness * compact + (1.0 - criterion.compactness) * smooth
    color = _color(node, i, j, n1, n2, n, criterion.bands, criterion.weights)
    return criterion.color * color + (1.0 - criterion.color) * shape


@_inline
def _splitmix64(x):
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_inline
def _before(own, a, b):
    # whether, at equal cost, the pair (own, a) comes before (own, b)
    lo_a, hi_a = min(own, a), max(own, a)
    lo_b, hi_b = min(own, b), max(own, b)
    hash_a = _splitmix64((np.uint64(lo_a) << np.uint64(32)) + np.uint64(hi_a))
    hash_b = _splitmix64((np.uint64(lo_b) << np.uint64(32)) + np.uint64(hi_b))
    if hash_a != hash_b:
        return hash_a < hash_b
    return lo_a < lo_b or (lo_a == lo_b and hi_a < hi_b)


# ---------------------------------------------------------------------------------------------------
# From pixels to the graph after the first pass
# ---------------------------------------------------------------------------------------------------


@_compile
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


@_compile
def pixel_costs(image, link, criterion, prune, right, below):
    """Costs of each pixel with its right and lower neighbour; infinite where they may not join.

    For two pixels n·s of the pair is the absolute difference: √(d²/4) is |d|/2 to the last bit.
    """
    bands, rows, cols = image.shape
    compact, smooth = _shape(2.0, 4.0 + 4.0 - 2.0 * 1.0, 1.0, 2.0)
    compact_1, smooth_1 = _shape(1.0, 4.0, 1.0, 1.0)
    compact -= compact_1 + compact_1
    smooth -= smooth_1 + smooth_1
    shape = criterion.compactness * compact + (1.0 - criterion.compactness) * smooth
    constant = (1.0 - criterion.color) * shape
    for r in range(rows):
        for c in range(cols):
            right[r, c] = 0.0
            below[r, c] = 0.0
        for b in range(bands):
            weight = criterion.weights[b]
            for c in range(cols - 1):
                right[r, c] += weight * abs(np.float64(image[b, r, c + 1]) - np.float64(image[b, r, c]))
            if r + 1 < rows:
                for c in range(cols):
                    below[r, c] += weight * abs(np.float64(image[b, r + 1, c]) - np.float64(image[b, r, c]))
        for c in range(cols):
            cost = criterion.color * right[r, c] + constant
            right[r, c] = cost if link[r, c] & HAS_RIGHT and cost < prune else np.inf
            cost = criterion.color * below[r, c] + constant
            below[r, c] = cost if link[r, c] & HAS_BELOW and cost < prune else np.inf


@_compile
def pixel_pairs(link, right, below, limit, row0, col0, width, direction):
    """Find each pixel's least pair: ``direction`` 0 none, 1 left, 2 up, 3 right, 4 down."""
    rows, cols = link.shape
    for r in range(rows):
        for c in range(cols):
            direction[r, c] = 0
            if not link[r, c] & VALID:
                continue
            own = (row0 + r) * width + col0 + c
            least, chosen, other = limit, 0, np.int64(0)
            for d in range(1, 5):
                cost = np.inf
                there = own
                if d == 1:
                    if c > 0:
                        cost, there = right[r, c - 1], own - 1
                elif d == 2:
                    if r > 0:
                        cost, there = below[r - 1, c], own - width
                elif d == 3:
                    cost, there = right[r, c], own + 1
                else:
                    cost, there = below[r, c], own + width
                if cost < least or (cost == least and chosen and _before(own, there, other)):
                    least, chosen, other = cost, d, there
            direction[r, c] = chosen


@_compile
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


@_compile
def fill_nodes(image, link, direction, row0, col0, width, bare, graph):
    """Fill the statistics of the objects after the first pass (one or two pixels each).

    ``bare`` are the four sides (top, bottom, left, right) at which the raster goes on beyond the window:
    objects within three pixels of them are tainted.
    """
    node = graph.node
    box = graph.box
    pixel = graph.pixel
    slot = graph.slot
    state = graph.state
    dirty = graph.dirty
    taint = graph.taint
    parent = graph.parent
    forest = graph.forest
    bands, rows, cols = image.shape
    for r in range(rows):
        for c in range(cols):
            if not link[r, c] & VALID:
                continue
            d = direction[r, c]
            if (d == 1 and direction[r, c - 1] == 3) or (d == 2 and direction[r - 1, c] == 4):
                continue
            r2, c2 = r, c
            if d == 3 and direction[r, c + 1] == 1:
                c2 = c + 1
            elif d == 4 and direction[r + 1, c] == 2:
                r2 = r + 1
            i = -2 - forest[r * cols + c]
            pixel[i] = (row0 + r) * width + col0 + c
            slot[i] = r * cols + c
            pair = r2 != r or c2 != c
            node[i, SIZE] = 2.0 if pair else 1.0
            node[i, PERIMETER] = 6.0 if pair else 4.0
            box[i, TOP], box[i, BOTTOM] = row0 + r, row0 + r2 + 1
            box[i, LEFT], box[i, RIGHT] = col0 + c, col0 + c2 + 1
            node[i, COMPACT], node[i, SMOOTH] = _shape(
                node[i, SIZE], node[i, PERIMETER], np.float64(r2 - r + 1), np.float64(c2 - c + 1)
            )
            for column in range(BANDS + 3 * bands, node.shape[1]):
                node[i, column] = 0.0
            for b in range(bands):
                x1 = np.float64(image[b, r, c])
                x2 = np.float64(image[b, r2, c2])
                scatter = _scatter(1.0, 1.0, 2.0, 0.0, 0.0, x1 - x2) if pair else 0.0
                node[i, BANDS + b] = (1.0 * x1 + 1.0 * x2) / 2.0 if pair else x1
                node[i, BANDS + bands + b] = node[i, SIZE] * scatter
                node[i, BANDS + 2 * bands + b] = node[i, SIZE] * np.sqrt(scatter)
            state[i] = ALIVE
            parent[i] = i
            dirty[i] = 1
            near = (
                (bare[0] and r < 3)
                or (bare[1] and r2 >= rows - 3)
                or (bare[2] and c < 3)
                or (bare[3] and c2 >= cols - 3)
            )
            taint[i] = 1 if near else 0


@_compile
def fill_lists(link, direction, right, below, criterion, prune, graph):
    """Fill the lists of neighbours after the first pass, one block each, and find the least pairs.

    The forest is turned into what it stays: each pixel's first pixel of its object, or -1.
    """
    node, box, pixel, slot, forest = graph.node, graph.box, graph.pixel, graph.slot, graph.forest
    start, blocks, room = graph.start, graph.blocks, graph.room
    name, cost, best, best_cost = graph.name, graph.cost, graph.best, graph.best_cost
    rows, cols = link.shape
    for i in range(pixel.size):
        start[i] = i
        blocks[i] = 1
        room[i] = 1
        first = np.int64(slot[i])
        r, c = first // cols, first % cols
        pair = node[i, SIZE] == 2.0
        # the second pixel lies to the right, below, or there is none; its links are looked at alike
        lying = pair and direction[r, c] == 3
        r2, c2 = (r, c + 1) if lying else ((r + 1, c) if pair else (r, c))
        p, p2 = first, r2 * cols + c2
        for k in range(BLOCK):
            name[i, k] = i
            name[i, EDGES + k] = 0
            cost[i, COST + k] = np.inf
        # sides of the first and of the last pixel that cannot be shared with another pixel's
        if c > 0 and link[r, c - 1] & HAS_RIGHT:
            _enter(name, cost, i, 0, -2 - forest[p - 1], right[r, c - 1])
        if r > 0 and link[r - 1, c] & HAS_BELOW:
            _enter(name, cost, i, 1, -2 - forest[p - cols], below[r - 1, c])
        if link[r2, c2] & HAS_RIGHT:
            _enter(name, cost, i, 2, -2 - forest[p2 + 1], right[r2, c2])
        if link[r2, c2] & HAS_BELOW:
            _enter(name, cost, i, 3, -2 - forest[p2 + cols], below[r2, c2])
        if pair:
            # the two sides that run along with another of the same object, perhaps towards one neighbour
            if lying:
                if r > 0 and link[r - 1, c2] & HAS_BELOW:
                    _enter_beside(name, i, 1, 4, -2 - forest[p2 - cols])
                if link[r, c] & HAS_BELOW:
                    _enter_beside(name, i, 3, 5, -2 - forest[p + cols])
            else:
                if c > 0 and link[r2, c - 1] & HAS_RIGHT:
                    _enter_beside(name, i, 0, 4, -2 - forest[p2 - 1])
                if link[r, c] & HAS_RIGHT:
                    _enter_beside(name, i, 2, 5, -2 - forest[p + 1])
        for k in range(6):
            j = np.int64(name[i, k])
            if j == i or (not pair and node[j, SIZE] == 1.0):
                continue
            if j < i:
                cost[i, COST + k] = cost[j, COST + _first(_named(name, j, np.int32(i)))]
            else:
                f = _pair_cost(node, box, i, j, name[i, EDGES + k], criterion)
                cost[i, COST + k] = f if f < prune else np.inf
        if _find_best(i, 0.0, start, blocks, name, cost, best, best_cost):
            _find_best_of_equals(i, 0.0, start, blocks, name, cost, best, best_cost, node, pixel)
    for p in range(rows * cols):
        if forest[p] != -1:
            forest[p] = slot[-2 - forest[p]]


@_inline
def _enter(name, cost, i, k, j, f):
    name[i, k] = j
    name[i, EDGES + k] = 1
    cost[i, COST + k] = f


@_inline
def _enter_beside(name, i, k, other, j):
    if name[i, k] == j:
        name[i, EDGES + k] += 1
    else:
        name[i, other] = j
        name[i, EDGES + other] = 1


# ---------------------------------------------------------------------------------------------------
# One pass on the graph. Helpers take the arrays that they need, and neither loop nor call others that are not
# inlined: otherwise numba counts references to all their arrays each time, which costs more than the work.
# ---------------------------------------------------------------------------------------------------


@_inline
def _find_best(i, small, start, blocks, name, cost, best, best_cost):
    # returns whether equal costs must be told apart; that is left to the caller, because a call from a function
    # that is itself inlined makes numba count references to all its arrays
    first = np.int64(start[i])
    least, bits = _least(cost, first)
    chosen = first
    tie = small > 0.0
    for block in range(first + 1, first + blocks[i]):
        low, among = _least(cost, block)
        if low < least:
            least, bits, chosen = low, among, block
            tie = small > 0.0
        elif low == least:
            tie = True
    best[i] = name[chosen, _first(bits)] if least < np.inf else -1
    best_cost[i] = least
    return least < np.inf and (tie or bits & (bits - 1) != 0)


@_compile
def _find_best_of_equals(i, small, start, blocks, name, cost, best, best_cost, node, pixel):
    # entry by entry; with small > 0 only pairs count of which one has fewer pixels than that
    own = np.int64(pixel[i])
    least, chosen = np.inf, -1
    big = small > 0.0 and node[i, SIZE] >= small
    for block in range(start[i], start[i] + blocks[i]):
        for k in range(BLOCK):
            f = cost[block, COST + k]
            if f <= least and f < np.inf:
                j = name[block, k]
                if big and node[j, SIZE] >= small:
                    continue
                if f < least or _before(own, np.int64(pixel[j]), np.int64(pixel[chosen])):
                    least, chosen = f, j
    best[i] = chosen
    best_cost[i] = least


AHEAD = 4
"""How many merged nodes ahead memory is asked for."""

LINE = 8
"""Floats in a cache line."""


@_compile
def select(graph, low, high, previous, token, limit, bands, merged):
    """Merge the mutually least pairs that a node of the range speaks for.

    ``merged[low:]`` gets the survivors. Return how many they are, and how many blocks joining their lists
    takes at most, the scratch room included.
    """
    node, box, pixel, slot, state = graph.node, graph.box, graph.pixel, graph.slot, graph.state
    dirty, taint, parent, best, best_cost = graph.dirty, graph.taint, graph.parent, graph.best, graph.best_cost
    start, blocks, room, name, forest = graph.start, graph.blocks, graph.room, graph.name, graph.forest
    count = 0
    need, largest = np.int64(0), np.int64(0)
    for i in range(low, high):
        if dirty[i] != previous or state[i] == DEAD:
            continue
        k = best[i]
        if k < 0 or not best_cost[i] < limit or best[k] != i:
            continue
        # one of the two speaks for the pair: the only dirty one, or the lower
        if dirty[k] == previous and pixel[k] < pixel[i]:
            continue
        merged[low + count] = i if pixel[i] < pixel[k] else k
        count += 1
    for q in range(low, low + count):
        if q + 2 * AHEAD < low + count:
            far = np.int64(merged[q + 2 * AHEAD])
            for column in range(0, node.shape[1], LINE):
                _prefetch(node, far, column)
                _prefetch(node, np.int64(best[far]), column)
            _prefetch(name, np.int64(start[far]), 0)
        s = np.int64(merged[q])
        d = np.int64(best[s])
        block = np.int64(start[s])
        bits = _named(name, block, np.int32(d))
        while not bits:
            block += 1
            bits = _named(name, block, np.int32(d))
        shared = name[block, EDGES + _first(bits)]
        n1, n2 = node[s, SIZE], node[d, SIZE]
        n = n1 + n2
        for b in range(bands):
            mean = BANDS + b
            v = mean + bands
            scatter = _scatter(n1, n2, n, node[s, v], node[d, v], node[s, mean] - node[d, mean])
            node[s, mean] = (n1 * node[s, mean] + n2 * node[d, mean]) / n
            node[s, v] = n * scatter
            node[s, v + bands] = n * np.sqrt(scatter)
        node[s, SIZE] = n
        node[s, PERIMETER] = node[s, PERIMETER] + node[d, PERIMETER] - 2.0 * shared
        box[s, TOP] = min(box[s, TOP], box[d, TOP])
        box[s, BOTTOM] = max(box[s, BOTTOM], box[d, BOTTOM])
        box[s, LEFT] = min(box[s, LEFT], box[d, LEFT])
        box[s, RIGHT] = max(box[s, RIGHT], box[d, RIGHT])
        node[s, COMPACT], node[s, SMOOTH] = _shape(
            n,
            node[s, PERIMETER],
            np.float64(box[s, BOTTOM] - box[s, TOP]),
            np.float64(box[s, RIGHT] - box[s, LEFT]),
        )
        if taint[s] != taint[d]:
            taint[s] = 1
        state[s] = token
        state[d] = DEAD
        parent[d] = s
        forest[slot[d]] = slot[s]
        together = np.int64(blocks[s]) + blocks[d]
        largest = max(largest, together)
        if together > max(room[s], room[d]):
            need += together
    return count, need + largest


@_compile
def rebuild(graph, merged, first, count, cursor, token, criterion, prune, small, alone, mark, waiting):
    """Join the lists of merged nodes, evaluate their costs, find their least pairs, and tell their neighbours.

    Lists are joined at ``cursor`` and stay there only if neither old place has room. ``alone`` says that no
    other thread works on the graph: then neighbours learn here what it means for their least pair, and
    ``waiting`` gets those that must look for it again. Return the new cursor, and how many those are.

    What happens to an entry cannot be guessed, so there are selections here where branches would be natural.
    """
    node, box, pixel, state, dirty = graph.node, graph.box, graph.pixel, graph.state, graph.dirty
    parent, best, best_cost = graph.parent, graph.best, graph.best_cost
    start, blocks, room, name, cost = graph.start, graph.blocks, graph.room, graph.name, graph.cost
    lines = node.shape[1]
    open_nodes = 0
    for q in range(first, first + count):
        if q + 2 * AHEAD < first + count:
            far = merged[q + 2 * AHEAD]
            _prefetch(name, np.int64(start[far]), 0)
            _prefetch(name, np.int64(start[best[far]]), 0)
        if q + AHEAD < first + count:
            near = merged[q + AHEAD]
            for part in range(2):
                block = np.int64(start[near if part == 0 else best[near]])
                for k in range(BLOCK):
                    j = np.int64(name[block, k])
                    for column in range(0, lines, LINE):
                        _prefetch(node, j, column)
                    _prefetch(name, np.int64(start[j]), 0)
                    _prefetch(name, np.int64(start[j]), 2 * BLOCK)
        i = np.int64(merged[q])
        other = np.int64(best[i])
        dirty[i] = token
        base = cursor * BLOCK
        end = base
        for block in range(cursor, cursor + blocks[i] + blocks[other]):
            for k in range(BLOCK):
                name[block, k] = i
                name[block, EDGES + k] = 0
                cost[block, COST + k] = np.inf
        for part in range(2):
            source = i if part == 0 else other
            for block in range(start[source], start[source] + blocks[source]):
                for k in range(BLOCK):
                    j = np.int64(parent[name[block, k]])
                    seen = np.int64(mark[j])
                    inside = seen >= base and seen < end
                    seen = seen if inside else base
                    same = inside and name[seen >> 3, seen & 7] == j
                    at = seen if same else end
                    already = name[at >> 3, EDGES + (at & 7)]
                    already = already if same else np.int32(0)
                    name[at >> 3, at & 7] = j
                    name[at >> 3, EDGES + (at & 7)] = already + name[block, EDGES + k]
                    mark[j] = at
                    end += 1 if j != i and not same else 0
        name[end >> 3, end & 7] = i  # both named each other, so there is an entry to spare
        name[end >> 3, EDGES + (end & 7)] = 0
        for at in range(base, end):
            block, k = at >> 3, at & 7
            j = np.int64(name[block, k])
            dirty[j] = token
            shared = name[block, EDGES + k]
            f = _pair_cost(node, box, i, j, shared, criterion)
            f = f if f < prune else np.inf
            cost[block, COST + k] = f
            if state[j] == token:  # finds the same cost itself
                continue
            is_long = blocks[j] > LONG
            if not is_long:  # in the list of j, replace i and the node that it took in by i alone
                at_j = np.int64(start[j])
                gone = at_j
                bits, more = _named(name, at_j, np.int32(i)), _named(name, at_j, np.int32(other))
                for block_j in range(at_j + 1, at_j + blocks[j]):
                    found = _named(name, block_j, np.int32(i))
                    if found:
                        at_j, bits = block_j, found
                    found = _named(name, block_j, np.int32(other))
                    if found:
                        gone, more = block_j, found
                both = bits != 0 and more != 0
                at_j = at_j if bits else gone
                where = _first(bits if bits else more)
                name[at_j, where] = i
                name[at_j, EDGES + where] = shared
                cost[at_j, COST + where] = f
                if both:
                    where = _first(more)
                    name[gone, where] = j
                    name[gone, EDGES + where] = 0
                    cost[gone, COST + where] = np.inf
            if alone:
                rival, least = best[j], best_cost[j]
                lost = rival in (i, other) or is_long or (f == least and f < np.inf)
                better = f < least and rival != OPEN and not lost
                known = rival != OPEN
                best[j] = OPEN if lost else (i if better else rival)
                best_cost[j] = f if better else least
                waiting[open_nodes] = j
                open_nodes += 1 if lost and known else 0
        size = max((end - base + BLOCK - 1) >> 3, 1)
        place = cursor
        if size <= room[i]:
            place = np.int64(start[i])
        elif size <= room[other]:
            place = np.int64(start[other])
            room[i] = room[other]
        else:
            room[i] = size
            cursor += size
        if place * BLOCK != base:
            for block in range(size):
                for k in range(2 * BLOCK):
                    cost[place + block, k] = cost[(base >> 3) + block, k]
        start[i] = place
        blocks[i] = size
        blocks[other] = 0
        if _find_best(i, small, start, blocks, name, cost, best, best_cost):
            _find_best_of_equals(i, small, start, blocks, name, cost, best, best_cost, node, pixel)
    return cursor, open_nodes


@_compile
def _correct_long(i, token, criterion, prune, mark, start, blocks, name, cost, state, parent, node, box):
    # rename the merged neighbours of a long list, join their entries, and evaluate their costs
    base = np.int64(start[i]) * BLOCK
    end = base
    for block in range(start[i], start[i] + blocks[i]):
        for k in range(BLOCK):
            j = parent[name[block, k]]
            if j == i:
                continue
            f = cost[block, COST + k]
            edges = name[block, EDGES + k]
            if state[j] == token:
                seen = np.int64(mark[j])
                if base <= seen < end and name[seen >> 3, seen & 7] == j:
                    name[seen >> 3, EDGES + (seen & 7)] += edges
                    continue
                mark[j] = end
                f = np.nan
            name[end >> 3, end & 7] = j
            name[end >> 3, EDGES + (end & 7)] = edges
            cost[end >> 3, COST + (end & 7)] = f
            end += 1
    for at in range(base, end):
        if np.isnan(cost[at >> 3, COST + (at & 7)]):
            f = _pair_cost(node, box, i, np.int64(name[at >> 3, at & 7]), name[at >> 3, EDGES + (at & 7)], criterion)
            cost[at >> 3, COST + (at & 7)] = f if f < prune else np.inf
    blocks[i] = max((end - base + BLOCK - 1) >> 3, 1)
    for at in range(end, base + np.int64(blocks[i]) * BLOCK):
        name[at >> 3, at & 7] = i
        name[at >> 3, EDGES + (at & 7)] = 0
        cost[at >> 3, COST + (at & 7)] = np.inf


@_compile
def refresh(graph, low, high, token, criterion, prune, small, alone, mark, waiting):
    """Find the least pairs of the nodes around merged ones: of ``waiting[low:high]`` if ``alone``, else of a range."""
    node, box, pixel, state, dirty, parent = graph.node, graph.box, graph.pixel, graph.state, graph.dirty, graph.parent
    start, blocks, name, cost = graph.start, graph.blocks, graph.name, graph.cost
    best, best_cost = graph.best, graph.best_cost
    for q in range(low, high):
        i = np.int64(waiting[q]) if alone else q
        if not alone and (dirty[i] != token or state[i] == DEAD or state[i] == token):
            continue
        if blocks[i] > LONG:
            _correct_long(i, token, criterion, prune, mark, start, blocks, name, cost, state, parent, node, box)
        if _find_best(i, small, start, blocks, name, cost, best, best_cost):
            _find_best_of_equals(i, small, start, blocks, name, cost, best, best_cost, node, pixel)


@_compile
def restart(graph, low, high, token, criterion, prune, small):
    """Evaluate the pruned costs of a range anew, find every least pair and wake every node."""
    node, box, pixel, state, dirty = graph.node, graph.box, graph.pixel, graph.state, graph.dirty
    start, blocks, name, cost, best, best_cost = (
        graph.start, graph.blocks, graph.name, graph.cost, graph.best, graph.best_cost,
    )  # fmt: skip
    for i in range(low, high):
        if state[i] == DEAD:
            continue
        state[i] = ALIVE
        dirty[i] = token
        for block in range(start[i], start[i] + blocks[i]):
            for k in range(BLOCK):
                if cost[block, COST + k] == np.inf and name[block, k] != i:
                    f = _pair_cost(node, box, i, np.int64(name[block, k]), name[block, EDGES + k], criterion)
                    cost[block, COST + k] = f if f < prune else np.inf
        if _find_best(i, small, start, blocks, name, cost, best, best_cost):
            _find_best_of_equals(i, small, start, blocks, name, cost, best, best_cost, node, pixel)


@_compile
def spread_taint(graph, limit):
    """Taint what the coming pass might get wrong; return how many nodes that adds.

    A node's decision depends on its own neighbours, and on the neighbours of the one it would merge with.
    """
    taint, state, best, best_cost = graph.taint, graph.state, graph.best, graph.best_cost
    start, blocks, name = graph.start, graph.blocks, graph.name
    added = 0
    for i in range(taint.size):
        if taint[i] == 1 and state[i] != DEAD:
            taint[i] = 2
            for block in range(start[i], start[i] + blocks[i]):
                for k in range(BLOCK):
                    j = name[block, k]
                    if taint[j] == 0:
                        taint[j] = 3
    for i in range(taint.size):
        if taint[i] == 3:
            for block in range(start[i], start[i] + blocks[i]):
                for k in range(BLOCK):
                    j = name[block, k]
                    if taint[j] == 0 and best[j] == i and best_cost[j] < limit:
                        taint[j] = 4
    for i in range(taint.size):
        if taint[i] > 2:
            taint[i] = 1
            added += 1
    return added


# ---------------------------------------------------------------------------------------------------
# Keeping the graph small
# ---------------------------------------------------------------------------------------------------


@_compile
def count_blocks(graph):
    """Return how many blocks the lists need without their gaps."""
    start, blocks, name = graph.start, graph.blocks, graph.name
    total = np.int64(0)
    for i in range(blocks.size):
        entries = 0
        for block in range(start[i], start[i] + blocks[i]):
            for k in range(BLOCK):
                entries += 1 if name[block, k] != i else 0
        if blocks[i]:
            total += max((entries + BLOCK - 1) >> 3, 1)
    return total


@_compile
def move_lists(graph, new_name, new_cost):
    """Copy all lists to another pool, in the order of the nodes, without gaps; return the blocks used."""
    start, blocks, room, name, cost = graph.start, graph.blocks, graph.room, graph.name, graph.cost
    cursor = np.int64(0)
    for i in range(blocks.size):
        end = cursor * BLOCK
        for block in range(start[i], start[i] + blocks[i]):
            for k in range(BLOCK):
                if name[block, k] != i:
                    new_name[end >> 3, end & 7] = name[block, k]
                    new_name[end >> 3, EDGES + (end & 7)] = name[block, EDGES + k]
                    new_cost[end >> 3, COST + (end & 7)] = cost[block, COST + k]
                    end += 1
        size = max((end - cursor * BLOCK + BLOCK - 1) >> 3, 1) if blocks[i] else 0
        start[i] = cursor
        blocks[i] = size
        room[i] = size
        cursor += size
        for at in range(end, cursor * BLOCK):
            new_name[at >> 3, at & 7] = i
            new_name[at >> 3, EDGES + (at & 7)] = 0
            new_cost[at >> 3, COST + (at & 7)] = np.inf
    return cursor


@_compile
def drop_dead(graph):
    """Move the living nodes to the front, in order, and rename them everywhere; return their number."""
    node, pixel, slot, state, dirty, taint = (
        graph.node, graph.pixel, graph.slot, graph.state, graph.dirty, graph.taint,
    )  # fmt: skip
    parent, best, best_cost = graph.parent, graph.best, graph.best_cost
    start, blocks, room, name = graph.start, graph.blocks, graph.room, graph.name
    alive = 0
    for i in range(state.size):
        if state[i] != DEAD:
            parent[i] = alive
            alive += 1
    k = 0
    for i in range(state.size):
        if state[i] == DEAD:
            continue
        if k != i:
            for column in range(node.shape[1]):
                node[k, column] = node[i, column]
            pixel[k], slot[k] = pixel[i], slot[i]
            dirty[k], taint[k] = dirty[i], taint[i]
            best[k], best_cost[k] = best[i], best_cost[i]
            start[k], blocks[k], room[k] = start[i], blocks[i], room[i]
        if best[k] >= 0:
            best[k] = parent[best[k]]
        for block in range(start[k], start[k] + blocks[k]):
            for entry in range(BLOCK):
                name[block, entry] = parent[name[block, entry]]
        k += 1
    for i in range(alive):
        state[i] = ALIVE
        parent[i] = i
    return alive


# ---------------------------------------------------------------------------------------------------
# From windows to the graph of the whole
# ---------------------------------------------------------------------------------------------------


@_compile
def root_forest(forest):
    """Point every pixel straight at its object's first pixel. A parent is never after its pixel."""
    for p in range(forest.size):
        if forest[p] >= 0:
            forest[p] = forest[forest[p]]


@_compile
def judge_window(graph, cols, top, bottom, left, right, mine):
    """Look at the core (rows ``top:bottom``, columns ``left:right`` of the window) once the passes are over.

    ``mine`` gets each node's number among those whose first pixel is in the core, or -1. Return whether the
    core is proven, how many nodes are its own, and how many blocks their lists need.
    """
    slot, state, taint, forest = graph.slot, graph.state, graph.taint, graph.forest
    start, blocks, name = graph.start, graph.blocks, graph.name
    nodes, room = 0, np.int64(0)
    suspect = np.zeros(forest.size, np.uint8)
    for i in range(state.size):
        mine[i] = -1
        if state[i] == DEAD:
            continue
        suspect[slot[i]] = taint[i] != 0
        r, c = slot[i] // cols, slot[i] % cols
        if not (top <= r < bottom and left <= c < right):
            continue
        mine[i] = nodes
        nodes += 1
        entries = 0
        for block in range(start[i], start[i] + blocks[i]):
            for k in range(BLOCK):
                j = name[block, k]
                if j != i:
                    entries += 1
                    if taint[j]:
                        return False, 0, 0
        room += max((entries + BLOCK - 1) >> 3, 1)
    for r in range(top, bottom):
        for c in range(left, right):
            p = r * cols + c
            if forest[p] >= 0 and suspect[forest[p]]:
                return False, 0, 0
    return True, nodes, room


@_compile
def write_roots(forest, cols, top, left, row0, col0, width, out, out_row, out_col, rows_out, cols_out):
    """Write the first pixel, as an index in the whole raster, of each core pixel's object; -1 where invalid."""
    for r in range(rows_out):
        for c in range(cols_out):
            root = np.int64(forest[(top + r) * cols + left + c])
            if root >= 0:
                root = (row0 + root // cols) * width + col0 + root % cols
            out[out_row + r, out_col + c] = root


@_compile
def hand_over(graph, mine, part):
    """Copy the core's own nodes. Neighbours are named by number among them, others by ``-1 - pixel``."""
    node, pixel, state = graph.node, graph.pixel, graph.state
    start, blocks, name, cost = graph.start, graph.blocks, graph.name, graph.cost
    own_node, own_pixel, own_start, own_blocks = part.node, part.pixel, part.start, part.blocks
    own_name, own_cost = part.name, part.cost
    cursor = np.int64(0)
    for i in range(state.size):
        me = mine[i]
        if me < 0:
            continue
        for column in range(node.shape[1]):
            own_node[me, column] = node[i, column]
        own_pixel[me] = pixel[i]
        own_start[me] = cursor
        end = cursor * BLOCK
        for block in range(start[i], start[i] + blocks[i]):
            for k in range(BLOCK):
                j = name[block, k]
                if j != i:
                    own_name[end >> 3, end & 7] = mine[j] if mine[j] >= 0 else -1 - pixel[j]
                    own_name[end >> 3, EDGES + (end & 7)] = name[block, EDGES + k]
                    own_cost[end >> 3, COST + (end & 7)] = cost[block, COST + k]
                    end += 1
        size = max((end - cursor * BLOCK + BLOCK - 1) >> 3, 1)
        own_blocks[me] = size
        cursor += size
        for at in range(end, cursor * BLOCK):
            own_name[at >> 3, at & 7] = me
            own_name[at >> 3, EDGES + (at & 7)] = 0
            own_cost[at >> 3, COST + (at & 7)] = np.inf


@_compile
def place_part(part, graph, first, first_block):
    """Copy a window's nodes to their place in the graph of the whole."""
    node, pixel, start, blocks, name, cost = part.node, part.pixel, part.start, part.blocks, part.name, part.cost
    to_node, to_pixel, to_state, to_taint = graph.node, graph.pixel, graph.state, graph.taint
    to_start, to_blocks, to_room, to_parent = graph.start, graph.blocks, graph.room, graph.parent
    to_name, to_cost, to_slot = graph.name, graph.cost, graph.slot
    for me in range(pixel.size):
        i = first + me
        for column in range(node.shape[1]):
            to_node[i, column] = node[me, column]
        to_pixel[i] = pixel[me]
        to_slot[i] = pixel[me]
        to_state[i] = ALIVE
        to_taint[i] = 0
        to_parent[i] = i
        to_start[i] = first_block + start[me]
        to_blocks[i] = blocks[me]
        to_room[i] = blocks[me]
    for block in range(name.shape[0]):
        for k in range(BLOCK):
            j = name[block, k]
            to_name[first_block + block, k] = j + first if j >= 0 else j
            to_name[first_block + block, EDGES + k] = name[block, EDGES + k]
            to_cost[first_block + block, COST + k] = cost[block, COST + k]


@_compile
def find_neighbours(graph, low, high, firsts, core_rows, core_cols, across, width):
    """Replace neighbours named by pixel by their numbers: nodes lie window by window, in order of pixels."""
    pixel, start, blocks, name = graph.pixel, graph.start, graph.blocks, graph.name
    missing = 0
    for i in range(low, high):
        for block in range(start[i], start[i] + blocks[i]):
            for k in range(BLOCK):
                if name[block, k] >= 0:
                    continue
                sought = -1 - np.int64(name[block, k])
                window = sought // width // core_rows * across + sought % width // core_cols
                a, b = firsts[window], firsts[window + 1]
                while a < b:
                    middle = (a + b) // 2
                    if pixel[middle] < sought:
                        a = middle + 1
                    else:
                        b = middle
                if a < firsts[window + 1] and pixel[a] == sought:
                    name[block, k] = a
                else:
                    missing += 1
    return missing


@_compile
def label_roots(roots, labels, firsts, pixel, core_rows, core_cols, across, width):
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
                window = sought // width // core_rows * across + sought % width // core_cols
                a, b = firsts[window], firsts[window + 1]
                while a < b:
                    middle = (a + b) // 2
                    if pixel[middle] < sought:
                        a = middle + 1
                    else:
                        b = middle
                label = labels[a]
            roots[r, c] = label


# ---------------------------------------------------------------------------------------------------
# From the forest to labels
# ---------------------------------------------------------------------------------------------------


@_compile
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
