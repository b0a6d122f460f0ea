# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201
"""The first pass, which needs no graph: kernels over rows of pixels. What it leaves is filled in ``filling``."""

from __future__ import annotations

import numpy as np

from landslip.objects.compiled import compiled, put
from landslip.objects.costs import before, shape_of
from landslip.objects.layout import HAS_BELOW, HAS_RIGHT, STRAY, VALID


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
def pair_up(direction):
    """Leave only the directions of pixels that are each other's least."""
    rows, cols = direction.shape
    above, here, below = np.zeros(cols, np.uint8), np.zeros(cols + 2, np.uint8), np.zeros(cols, np.uint8)
    for r in range(rows):
        here[1:-1] = direction[r]
        if r + 1 < rows:
            below[:] = direction[r + 1]
        else:
            below[:] = 0
        for c in range(cols):
            d = here[c + 1]
            back = ((d + 1) & 3) + 1
            there = here[c] if d == 1 else (above[c] if d == 2 else (here[c + 2] if d == 3 else below[c]))
            direction[r, c] = d if there == back else 0
        above[:] = here[1:-1]


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
