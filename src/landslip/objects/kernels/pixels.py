# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""The first pass, which needs no graph: kernels over rows of pixels. What it leaves is filled in ``filling``."""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.compiled import compiled, inlined, put
from landslip.objects.kernels.costs import shape_of
from landslip.objects.kernels.layout import HAS_BELOW, HAS_RIGHT, STRAY, VALID
from landslip.objects.kernels.order import before

TIED = 8
"""Added to a direction while more than one has the least cost."""


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
                x = image[b, r, c]
                out[r, c] = out[r, c] if (x - x == 0.0) | (out[r, c] == 0) else STRAY
        for c in range(cols - 1):
            both = out[r, c] & out[r, c + 1] & VALID != 0
            if divided:
                both &= regions[r, c] == regions[r, c + 1]
            out[r, c] |= HAS_RIGHT if both else 0
        if r > 0:
            for c in range(cols):
                both = out[r - 1, c] & out[r, c] & VALID != 0
                if divided:
                    both &= regions[r - 1, c] == regions[r, c]
                out[r - 1, c] |= HAS_BELOW if both else 0


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
        least, greatest = least_of[0], greatest_of[0]
        for c in range(1, cols):
            least = min(least, least_of[c])
            greatest = max(greatest, greatest_of[c])
        low[b] = least
        high[b] = greatest


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
    right = np.full(cols + 1, np.inf)  # one further, so that it is also what is to the left
    above = np.full(cols, np.inf)
    below = np.empty(cols, np.float64)
    for r in range(rows):
        right[1:] = 0.0
        below[:] = 0.0
        for b in range(bands):
            weight = criterion.weights[b]
            for c in range(cols - 1):
                right[c + 1] += weight * abs(np.float64(image[b, r, c + 1]) - np.float64(image[b, r, c]))
            if r + 1 < rows:
                for c in range(cols):
                    below[c] += weight * abs(np.float64(image[b, r + 1, c]) - np.float64(image[b, r, c]))
        for c in range(cols):
            cost = criterion.color * right[c + 1] + constant
            right[c + 1] = cost if link[r, c] & HAS_RIGHT and cost < limit else np.inf
            cost = criterion.color * below[c] + constant
            below[c] = cost if link[r, c] & HAS_BELOW and cost < limit else np.inf
        tied = False
        for c in range(cols):
            one = right[c] if right[c] < above[c] else above[c]
            other = right[c + 1] if right[c + 1] < below[c] else below[c]
            lowest = one if one < other else other
            d = 4 if below[c] == lowest else 0
            d = 3 if right[c + 1] == lowest else d
            d = 2 if above[c] == lowest else d
            d = 1 if right[c] == lowest else d
            d = d if lowest < np.inf else 0
            equal = (right[c] == lowest) + (above[c] == lowest) + (right[c + 1] == lowest) + (below[c] == lowest)
            tie = (equal > 1) & (d > 0)
            direction[r, c] = np.uint8(d + (TIED if tie else 0))
            tied |= tie
        for c in range(cols if tied else 0):
            if direction[r, c] >= TIED:
                costs = (right[c], above[c], right[c + 1], below[c])
                direction[r, c] = _first_of(costs, (row0 + r) * width + col0 + c, width)
        above, below = below, above


@inlined
def _first_of(costs, own, width):
    # the direction of the pair that comes first among those of the least cost
    lowest = min(min(costs[0], costs[1]), min(costs[2], costs[3]))
    places = (own - 1, own - width, own + 1, own + width)
    d, other = 0, np.int64(0)
    for k in range(4):
        if costs[k] == lowest and (d == 0 or before(own, places[k], other)):
            d, other = k + 1, places[k]
    return d


@compiled
def pair_up(direction):
    """Leave only the directions of pixels that are each other's least."""
    rows, cols = direction.shape
    above, here, below = np.zeros(cols, np.uint8), np.zeros(cols + 2, np.uint8), np.zeros(cols, np.uint8)
    for r in range(rows):
        for c in range(cols):
            here[c + 1] = direction[r, c]
            below[c] = direction[r + 1, c] if r + 1 < rows else 0
        for c in range(cols):
            d = here[c + 1]
            back = ((d + 1) & 3) + 1
            there = here[c] if d == 1 else (above[c] if d == 2 else (here[c + 2] if d == 3 else below[c]))
            direction[r, c] = d if there == back else 0
        for c in range(cols):
            above[c] = here[c + 1]


@compiled
def number_nodes(link, direction, edges, forest, firsts, starts):
    """Give objects numbers by their first pixel, strip by strip; return how many they are.

    Strips of columns lie between two ``edges``. ``forest`` gets, per pixel, -1 where invalid, else ``-2 - node``;
    ``firsts`` each node's first pixel, ``starts`` each strip's first node, and at last the number of nodes.
    """
    rows, cols = link.shape
    nodes = np.int64(0)
    for strip in range(edges.size - 1):
        starts[strip] = nodes
        for r in range(rows):
            for c in range(edges[strip], edges[strip + 1]):
                p = r * cols + c
                d = direction[r, c]
                valid = link[r, c] & VALID != 0
                begins = valid & ((d == 0) | (d > 2))
                known = forest[p - (cols if d == 2 else (1 if d == 1 else 0))]
                forest[p] = -2 - nodes if begins else (known if valid else -1)
                put(firsts, nodes, p)
                nodes += begins
    starts[edges.size - 1] = nodes
    return nodes
