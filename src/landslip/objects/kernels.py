"""All compiled code of the segmentation, in one module because numba's cache watches one file.

Every kernel is serial and releases the interpreter lock; parallelism comes from running one kernel on
several ranges or windows from several threads, so that no threading layer is involved and any number of
callers, threads or forked processes may segment at once. No fast-math and no contraction: costs are the
same bits everywhere, and the same whichever of two objects is named first.

A graph holds objects ("nodes") and, for each, the list of its neighbours. A pass has four steps, each of
which writes only what belongs to its own range of nodes (or what several would write alike):

1. :func:`select` finds the pairs that are each other's least and joins their statistics;
2. :func:`count_merged` sums the space that the joined lists need;
3. :func:`rebuild` joins the lists of merged nodes and evaluates the costs to their neighbours;
4. :func:`refresh` corrects the lists of the nodes around them and finds the new least pairs.

Nodes whose neighbourhood did not change are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

SIZE, PERIMETER, COMPACT, SMOOTH, TOP, BOTTOM, LEFT, RIGHT, BANDS = range(9)
"""Columns of a node: pixels; edges; n·l/√n; n·l/B; bounding box (ends exclusive); then mean, n·s², n·s per band."""

DEAD, ALIVE = 0, 255
"""Values of ``Graph.state``; every other value is the token of the pass in which the node last merged."""

HAS_RIGHT, HAS_BELOW, VALID = 1, 2, 4
"""Bits of a pixel: may join its right neighbour, the one below, is valid."""


class Graph(NamedTuple):
    """Nodes (first axis) and the pool that holds their lists of neighbours."""

    node: NDArray[np.float64]
    """``(nodes, 8 + 3·bands)``, see :data:`SIZE` and following."""
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
    """Survivor of a dead node."""
    best: NDArray[np.int32]
    """The neighbour of the least pair, or -1."""
    best_cost: NDArray[np.float64]
    start: NDArray[np.int64]
    length: NDArray[np.int32]
    neighbour: NDArray[np.int32]
    shared: NDArray[np.int32]
    """Shared pixel edges."""
    cost: NDArray[np.float64]
    """Cost of the pair; infinite where it can never merge at the scales asked for."""
    forest: NDArray[np.int32]
    """Where a dead node's object has gone, by slot; a lower or equal slot for pixels."""


class Criterion(NamedTuple):
    """Weights of the merge criterion."""

    bands: NDArray[np.float64]
    color: float
    compactness: float


def _compile(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - a numba dispatcher
    try:
        return numba.njit(nogil=True, error_model="numpy", fastmath=False, cache=True)(function)
    except RuntimeError:  # no place for the cache can be written to: compile anew in each process
        return numba.njit(nogil=True, error_model="numpy", fastmath=False)(function)


def _inline(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - a numba dispatcher
    return numba.njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)(function)


# ---------------------------------------------------------------------------------------------------
# The criterion (Baatz & Schäpe 2000) and the order of pairs
# ---------------------------------------------------------------------------------------------------


@_inline
def _scatter(n1, n2, n, v1, v2, d):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    # s_m² from n1·s1², n2·s2² and the difference of the means: a sum of positive terms, so stable
    return (v1 + v2) / n + n1 * n2 * (d * d) / (n * n)


@_inline
def _shape(n, perimeter, top, bottom, left, right):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    box = 2.0 * ((bottom - top) + (right - left))
    return n * perimeter / np.sqrt(n), n * perimeter / box


@_inline
def _pair_cost(node, i, j, shared, criterion):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n1, n2 = node[i, SIZE], node[j, SIZE]
    n = n1 + n2
    perimeter = node[i, PERIMETER] + node[j, PERIMETER] - 2.0 * shared
    compact, smooth = _shape(
        n,
        perimeter,
        min(node[i, TOP], node[j, TOP]),
        max(node[i, BOTTOM], node[j, BOTTOM]),
        min(node[i, LEFT], node[j, LEFT]),
        max(node[i, RIGHT], node[j, RIGHT]),
    )
    compact -= node[i, COMPACT] + node[j, COMPACT]
    smooth -= node[i, SMOOTH] + node[j, SMOOTH]
    shape = criterion.compactness * compact + (1.0 - criterion.compactness) * smooth
    bands = criterion.bands.size
    color = 0.0
    for b in range(bands):
        mean = BANDS + b
        v = mean + bands
        s = v + bands
        scatter = _scatter(n1, n2, n, node[i, v], node[j, v], node[i, mean] - node[j, mean])
        color += criterion.bands[b] * (n * np.sqrt(scatter) - (node[i, s] + node[j, s]))
    return criterion.color * color + (1.0 - criterion.color) * shape


@_inline
def _splitmix64(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_inline
def _before(own, a, b):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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
def links(image, valid, regions, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Fill ``out`` with the bits of each pixel; return how many valid pixels were not finite.

    ``valid`` and ``regions`` may have no rows: all valid, one region.
    """
    bands, rows, cols = image.shape
    masked = valid.shape[0] > 0
    divided = regions.shape[0] > 0
    not_finite = 0
    for r in range(rows):
        for c in range(cols):
            out[r, c] = VALID if not masked or valid[r, c] else 0
        for b in range(bands):
            for c in range(cols):
                if out[r, c] and not np.isfinite(image[b, r, c]):
                    out[r, c] = 0
                    not_finite += 1
        for c in range(cols - 1):
            if out[r, c] and out[r, c + 1] and (not divided or regions[r, c] == regions[r, c + 1]):
                out[r, c] |= HAS_RIGHT
        if r > 0:
            for c in range(cols):
                if out[r - 1, c] and out[r, c] and (not divided or regions[r - 1, c] == regions[r, c]):
                    out[r - 1, c] |= HAS_BELOW
    return not_finite


@_compile
def pixel_costs(image, link, criterion, prune, right, below):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Costs of each pixel with its right and lower neighbour; infinite where they may not join.

    For two pixels n·s of the pair is the absolute difference: √(d²/4) is |d|/2 to the last bit.
    """
    bands, rows, cols = image.shape
    compact, smooth = _shape(2.0, 4.0 + 4.0 - 2.0 * 1.0, 0.0, 1.0, 0.0, 2.0)
    compact_1, smooth_1 = _shape(1.0, 4.0, 0.0, 1.0, 0.0, 1.0)
    compact -= compact_1 + compact_1
    smooth -= smooth_1 + smooth_1
    shape = criterion.compactness * compact + (1.0 - criterion.compactness) * smooth
    constant = (1.0 - criterion.color) * shape
    for r in range(rows):
        for c in range(cols):
            right[r, c] = 0.0
            below[r, c] = 0.0
        for b in range(bands):
            weight = criterion.bands[b]
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
def pixel_pairs(link, right, below, limit, row0, col0, width, direction):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Find each pixel's least pair: ``direction`` 0 none, 1 left, 2 up, 3 right, 4 down."""
    rows, cols = link.shape
    for r in range(rows):
        for c in range(cols):
            direction[r, c] = 0
            if not link[r, c]:
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
def number_nodes(link, direction, forest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Give objects numbers by their first pixel; return how many they are, and list entries at most.

    ``forest`` gets, per pixel, -1 where invalid, else ``-2 - node``.
    """
    rows, cols = link.shape
    nodes = 0
    entries = 0
    for r in range(rows):
        for c in range(cols):
            p = r * cols + c
            if not link[r, c]:
                forest[p] = -1
                continue
            d = direction[r, c]
            if d == 1 and direction[r, c - 1] == 3:
                forest[p] = forest[p - 1]
                entries += 2
            elif d == 2 and direction[r - 1, c] == 4:
                forest[p] = forest[p - cols]
                entries += 2
            else:
                forest[p] = -2 - nodes
                nodes += 1
                entries += 4
    return nodes, entries


@_compile
def fill_nodes(image, link, direction, row0, col0, width, bare, graph):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Fill the statistics of the objects after the first pass (one or two pixels each).

    ``bare`` are the four sides (top, bottom, left, right) at which the raster goes on beyond the window:
    objects within three pixels of them are tainted.
    """
    bands, rows, cols = image.shape
    node = graph.node
    for r in range(rows):
        for c in range(cols):
            if not link[r, c]:
                continue
            d = direction[r, c]
            if (d == 1 and direction[r, c - 1] == 3) or (d == 2 and direction[r - 1, c] == 4):
                continue
            r2, c2 = r, c
            if d == 3 and direction[r, c + 1] == 1:
                c2 = c + 1
            elif d == 4 and direction[r + 1, c] == 2:
                r2 = r + 1
            i = -2 - graph.forest[r * cols + c]
            graph.pixel[i] = (row0 + r) * width + col0 + c
            graph.slot[i] = r * cols + c
            pair = r2 != r or c2 != c
            node[i, SIZE] = 2.0 if pair else 1.0
            node[i, PERIMETER] = 6.0 if pair else 4.0
            node[i, TOP], node[i, BOTTOM] = row0 + r, row0 + r2 + 1
            node[i, LEFT], node[i, RIGHT] = col0 + c, col0 + c2 + 1
            node[i, COMPACT], node[i, SMOOTH] = _shape(
                node[i, SIZE], node[i, PERIMETER], node[i, TOP], node[i, BOTTOM], node[i, LEFT], node[i, RIGHT]
            )
            for b in range(bands):
                x1 = np.float64(image[b, r, c])
                x2 = np.float64(image[b, r2, c2])
                scatter = _scatter(1.0, 1.0, 2.0, 0.0, 0.0, x1 - x2) if pair else 0.0
                node[i, BANDS + b] = (1.0 * x1 + 1.0 * x2) / 2.0 if pair else x1
                node[i, BANDS + bands + b] = node[i, SIZE] * scatter
                node[i, BANDS + 2 * bands + b] = node[i, SIZE] * np.sqrt(scatter)
            graph.state[i] = ALIVE
            graph.dirty[i] = 1
            near = (
                (bare[0] and r < 3)
                or (bare[1] and r2 >= rows - 3)
                or (bare[2] and c < 3)
                or (bare[3] and c2 >= cols - 3)
            )
            graph.taint[i] = 1 if near else 0


@_compile
def fill_lists(link, direction, right, below, criterion, prune, graph):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Fill the lists of neighbours after the first pass and find the least pairs; return the entries used.

    The forest is turned into what it stays: each pixel's first pixel of its object, or -1.
    """
    rows, cols = link.shape
    forest = graph.forest
    cursor = 0
    row_of = np.empty(2, np.int64)
    col_of = np.empty(2, np.int64)
    for i in range(graph.pixel.size):
        first = graph.slot[i]
        row_of[0], col_of[0] = first // cols, first % cols
        count = 1
        if graph.node[i, SIZE] == 2.0:
            count = 2
            d = direction[row_of[0], col_of[0]]
            row_of[1], col_of[1] = (row_of[0], col_of[0] + 1) if d == 3 else (row_of[0] + 1, col_of[0])
        start = cursor
        graph.start[i] = start
        for k in range(count):
            r, c = row_of[k], col_of[k]
            for d in range(1, 5):
                if d == 1:
                    if c == 0 or not link[r, c - 1] & HAS_RIGHT:
                        continue
                    j, cost = -2 - forest[r * cols + c - 1], right[r, c - 1]
                elif d == 2:
                    if r == 0 or not link[r - 1, c] & HAS_BELOW:
                        continue
                    j, cost = -2 - forest[(r - 1) * cols + c], below[r - 1, c]
                elif d == 3:
                    if not link[r, c] & HAS_RIGHT:
                        continue
                    j, cost = -2 - forest[r * cols + c + 1], right[r, c]
                else:
                    if not link[r, c] & HAS_BELOW:
                        continue
                    j, cost = -2 - forest[(r + 1) * cols + c], below[r, c]
                if j == i:
                    continue
                at = start
                while at < cursor and graph.neighbour[at] != j:
                    at += 1
                if at < cursor:
                    graph.shared[at] += 1
                else:
                    graph.neighbour[at] = j
                    graph.shared[at] = 1
                    graph.cost[at] = cost
                    cursor += 1
        graph.length[i] = cursor - start
        for at in range(start, cursor):
            j = graph.neighbour[at]
            if graph.node[i, SIZE] == 1.0 and graph.node[j, SIZE] == 1.0:
                continue  # the cost of two pixels
            graph.cost[at] = np.nan
            if j < i:
                graph.cost[at] = _cost_in_list(graph, j, i)
            else:
                cost = _pair_cost(graph.node, i, j, graph.shared[at], criterion)
                graph.cost[at] = cost if cost < prune else np.inf
    for p in range(rows * cols):
        if forest[p] != -1:
            forest[p] = graph.slot[-2 - forest[p]]
    for i in range(graph.pixel.size):
        _find_best(graph, i, 0.0)
    return cursor


# ---------------------------------------------------------------------------------------------------
# One pass on the graph
# ---------------------------------------------------------------------------------------------------


@_inline
def _cost_in_list(graph, i, j):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    at = graph.start[i]
    while graph.neighbour[at] != j:
        at += 1
    return graph.cost[at]


@_inline
def _find_best(graph, i, small):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    # with small > 0 only pairs count of which one has fewer pixels than that
    own = np.int64(graph.pixel[i])
    least, chosen = np.inf, -1
    big = small > 0.0 and graph.node[i, SIZE] >= small
    for at in range(graph.start[i], graph.start[i] + graph.length[i]):
        cost = graph.cost[at]
        if cost <= least and cost < np.inf:
            j = graph.neighbour[at]
            if big and graph.node[j, SIZE] >= small:
                continue
            if cost < least or _before(own, np.int64(graph.pixel[j]), np.int64(graph.pixel[chosen])):
                least, chosen = cost, j
    graph.best[i] = chosen
    graph.best_cost[i] = least


@_compile
def select(graph, low, high, previous, token, limit, bands):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Merge the mutually least pairs that a node of the range speaks for; return how many."""
    node = graph.node
    merged = 0
    for i in range(low, high):
        if graph.dirty[i] != previous or graph.state[i] == DEAD:
            continue
        k = graph.best[i]
        if k < 0 or not graph.best_cost[i] < limit or graph.best[k] != i:
            continue
        # one of the two speaks for the pair: the only dirty one, or the lower
        if graph.dirty[k] == previous and graph.pixel[k] < graph.pixel[i]:
            continue
        s, d = (i, k) if graph.pixel[i] < graph.pixel[k] else (k, i)
        at = graph.start[s]
        while graph.neighbour[at] != d:
            at += 1
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
        node[s, PERIMETER] = node[s, PERIMETER] + node[d, PERIMETER] - 2.0 * graph.shared[at]
        node[s, TOP] = min(node[s, TOP], node[d, TOP])
        node[s, BOTTOM] = max(node[s, BOTTOM], node[d, BOTTOM])
        node[s, LEFT] = min(node[s, LEFT], node[d, LEFT])
        node[s, RIGHT] = max(node[s, RIGHT], node[d, RIGHT])
        node[s, COMPACT], node[s, SMOOTH] = _shape(
            n, node[s, PERIMETER], node[s, TOP], node[s, BOTTOM], node[s, LEFT], node[s, RIGHT]
        )
        if graph.taint[s] != graph.taint[d]:
            graph.taint[s] = 1
        graph.state[s] = token
        graph.state[d] = DEAD
        graph.parent[d] = s
        graph.forest[graph.slot[d]] = graph.slot[s]
        merged += 1
    return merged


@_compile
def count_merged(graph, low, high, token):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return how many list entries the nodes of the range that merged in this pass need at most."""
    total = 0
    for i in range(low, high):
        if graph.state[i] == token:
            total += graph.length[i] + graph.length[graph.best[i]] - 2
    return total


@_compile
def rebuild(graph, low, high, cursor, token, criterion, prune, mark):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Join the lists of the nodes that merged in this pass, evaluate their costs, wake their neighbours.

    The cost of two nodes that both merged is evaluated by the lower one and left open (NaN) by the other.
    """
    for i in range(low, high):
        if graph.state[i] != token:
            continue
        base = cursor
        other = graph.best[i]
        for part in range(2):
            source = i if part == 0 else other
            for at in range(graph.start[source], graph.start[source] + graph.length[source]):
                j = graph.neighbour[at]
                if graph.state[j] == DEAD:
                    j = graph.parent[j]
                if j == i:
                    continue
                seen = mark[j]
                if base <= seen < cursor and graph.neighbour[seen] == j:
                    graph.shared[seen] += graph.shared[at]
                else:
                    mark[j] = cursor
                    graph.neighbour[cursor] = j
                    graph.shared[cursor] = graph.shared[at]
                    cursor += 1
        for at in range(base, cursor):
            j = graph.neighbour[at]
            if graph.state[j] == token and j < i:
                graph.cost[at] = np.nan
            else:
                cost = _pair_cost(graph.node, i, j, graph.shared[at], criterion)
                graph.cost[at] = cost if cost < prune else np.inf
            graph.dirty[j] = token
        graph.dirty[i] = token
        graph.length[other] = 0
        graph.start[i] = base
        graph.length[i] = cursor - base
    return cursor


SHORT = 16
"""Lists up to this length are searched for a cost; beside longer ones it is evaluated again, to the same bits."""


@_inline
def _cost_between(graph, i, j, shared, criterion, prune):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    if graph.length[j] <= SHORT:
        return _cost_in_list(graph, j, i)
    cost = _pair_cost(graph.node, i, j, shared, criterion)
    return cost if cost < prune else np.inf


@_compile
def refresh(graph, low, high, token, criterion, prune, small, mark):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Correct the lists of the nodes around merged ones and find the least pair of every node concerned."""
    for i in range(low, high):
        if graph.dirty[i] != token or graph.state[i] == DEAD:
            continue
        start = graph.start[i]
        if graph.state[i] == token:
            for at in range(start, start + graph.length[i]):
                if np.isnan(graph.cost[at]):
                    graph.cost[at] = _cost_between(graph, i, graph.neighbour[at], graph.shared[at], criterion, prune)
        else:
            out = start
            for at in range(start, start + graph.length[i]):
                j = graph.neighbour[at]
                if graph.state[j] == DEAD:
                    j = graph.parent[j]
                if graph.state[j] == token:
                    seen = mark[j]
                    if start <= seen < out and graph.neighbour[seen] == j:
                        graph.shared[seen] += graph.shared[at]
                        continue
                    mark[j] = out
                    graph.cost[out] = np.nan
                else:
                    graph.cost[out] = graph.cost[at]
                graph.neighbour[out] = j
                graph.shared[out] = graph.shared[at]
                out += 1
            graph.length[i] = out - start
            for at in range(start, out):
                if np.isnan(graph.cost[at]):
                    graph.cost[at] = _cost_between(graph, i, graph.neighbour[at], graph.shared[at], criterion, prune)
        _find_best(graph, i, small)


@_compile
def restart(graph, low, high, token, criterion, prune, small):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Evaluate the pruned costs of a range anew, find every least pair and wake every node."""
    for i in range(low, high):
        if graph.state[i] == DEAD:
            continue
        graph.state[i] = ALIVE
        graph.dirty[i] = token
        for at in range(graph.start[i], graph.start[i] + graph.length[i]):
            if graph.cost[at] == np.inf:
                cost = _pair_cost(graph.node, i, graph.neighbour[at], graph.shared[at], criterion)
                graph.cost[at] = cost if cost < prune else np.inf
        _find_best(graph, i, small)


@_compile
def spread_taint(graph, limit):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Taint what the coming pass might get wrong; return how many nodes that adds.

    A node's decision depends on its own neighbours, and on the neighbours of the one it would merge with.
    """
    taint = graph.taint
    added = 0
    for i in range(taint.size):
        if taint[i] == 1 and graph.state[i] != DEAD:
            taint[i] = 2
            for at in range(graph.start[i], graph.start[i] + graph.length[i]):
                if taint[graph.neighbour[at]] == 0:
                    taint[graph.neighbour[at]] = 3
    for i in range(taint.size):
        if taint[i] == 3:
            for at in range(graph.start[i], graph.start[i] + graph.length[i]):
                j = graph.neighbour[at]
                if taint[j] == 0 and graph.best[j] == i and graph.best_cost[j] < limit:
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
def move_lists(graph, neighbour, shared, cost):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Copy all lists to another pool, in the order of the nodes; return the entries used."""
    cursor = 0
    for i in range(graph.length.size):
        start = graph.start[i]
        graph.start[i] = cursor
        for at in range(start, start + graph.length[i]):
            neighbour[cursor] = graph.neighbour[at]
            shared[cursor] = graph.shared[at]
            cost[cursor] = graph.cost[at]
            cursor += 1
    return cursor


@_compile
def drop_dead(graph):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Move the living nodes to the front, in order, and rename them everywhere; return their number."""
    node = graph.node
    width = node.shape[1]
    alive = 0
    for i in range(graph.state.size):
        if graph.state[i] != DEAD:
            graph.parent[i] = alive
            alive += 1
    k = 0
    for i in range(graph.state.size):
        if graph.state[i] == DEAD:
            continue
        if k != i:
            for column in range(width):
                node[k, column] = node[i, column]
            graph.pixel[k] = graph.pixel[i]
            graph.slot[k] = graph.slot[i]
            graph.dirty[k] = graph.dirty[i]
            graph.taint[k] = graph.taint[i]
            graph.best[k] = graph.best[i]
            graph.best_cost[k] = graph.best_cost[i]
            graph.start[k] = graph.start[i]
            graph.length[k] = graph.length[i]
        if graph.best[k] >= 0:
            graph.best[k] = graph.parent[graph.best[k]]
        for at in range(graph.start[k], graph.start[k] + graph.length[k]):
            graph.neighbour[at] = graph.parent[graph.neighbour[at]]
        k += 1
    for i in range(alive):
        graph.state[i] = ALIVE
    return alive


# ---------------------------------------------------------------------------------------------------
# From the forest to labels
# ---------------------------------------------------------------------------------------------------


@_compile
def label_forest(forest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
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
