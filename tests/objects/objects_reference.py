"""The rules of the segmentation once more, in plain Python and as slowly as they read.

Objects are sets of pixels; every statistic is what the formulas of docs/segmentation.md say, nothing is
cached between passes, nothing is shared with the package.
"""

import math

MASK = (1 << 64) - 1


def splitmix64(x):
    z = (x + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Thing:
    """An object: pixel count, mean and variance per band, perimeter, bounding box."""

    def __init__(self, row, col, values):
        self.n = 1
        self.mean = [float(v) for v in values]
        self.var = [0.0] * len(values)
        self.perimeter = 4
        self.box = (row, row + 1, col, col + 1)
        self.pixels = [(row, col)]


def union(a, b, shared):
    m = Thing.__new__(Thing)
    m.n = a.n + b.n
    m.mean = [(a.n * x + b.n * y) / m.n for x, y in zip(a.mean, b.mean, strict=True)]
    m.var = [
        (a.n * va + b.n * vb) / m.n + a.n * b.n * ((x - y) * (x - y)) / m.n**2  # pow() may be a bit off
        for x, y, va, vb in zip(a.mean, b.mean, a.var, b.var, strict=True)
    ]
    m.perimeter = a.perimeter + b.perimeter - 2 * shared
    m.box = (
        min(a.box[0], b.box[0]),
        max(a.box[1], b.box[1]),
        min(a.box[2], b.box[2]),
        max(a.box[3], b.box[3]),
    )
    m.pixels = a.pixels + b.pixels
    return m


def compact_of(t):
    return t.n * t.perimeter / math.sqrt(t.n)


def smooth_of(t):
    return t.n * t.perimeter / (2 * ((t.box[1] - t.box[0]) + (t.box[3] - t.box[2])))


def cost(a, b, shared, weights, w_color, w_compact):
    m = union(a, b, shared)
    color = 0.0
    for k, w in enumerate(weights):
        color += w * (m.n * math.sqrt(m.var[k]) - (a.n * math.sqrt(a.var[k]) + b.n * math.sqrt(b.var[k])))
    compact = compact_of(m) - (compact_of(a) + compact_of(b))
    smooth = smooth_of(m) - (smooth_of(a) + smooth_of(b))
    shape = w_compact * compact + (1 - w_compact) * smooth
    return w_color * color + (1 - w_color) * shape


def borders(owner, rows, cols, regions):
    """Shared edges of every pair of neighbouring objects, keyed by (lower id, higher id)."""
    shared = {}
    for r in range(rows):
        for c in range(cols):
            for r2, c2 in ((r, c + 1), (r + 1, c)):
                if r2 >= rows or c2 >= cols or (r, c) not in owner or (r2, c2) not in owner:
                    continue
                if regions is not None and regions[r][c] != regions[r2][c2]:
                    continue
                a, b = owner[r, c], owner[r2, c2]
                if a != b:
                    key = (min(a, b), max(a, b))
                    shared[key] = shared.get(key, 0) + 1
    return shared


def merge_passes(things, owner, shape, regions, weights, w_color, w_compact, limit, small=0):
    rows, cols = shape
    while True:
        shared = borders(owner, rows, cols, regions)
        least = {}
        for (lo, hi), e in shared.items():
            if small and things[lo].n >= small and things[hi].n >= small:
                continue
            f = cost(things[lo], things[hi], e, weights, w_color, w_compact)
            key = (f, splitmix64(lo * 2**32 + hi), lo, hi)
            for member in (lo, hi):
                if member not in least or key < least[member]:
                    least[member] = key
        chosen = {key for key in least.values() if key[0] < limit}
        merged = [k for k in chosen if least[k[2]] == k and least[k[3]] == k]
        for _, _, lo, hi in merged:
            things[lo] = union(things[lo], things[hi], shared[lo, hi])
            for pixel in things.pop(hi).pixels:
                owner[pixel] = lo
        if not merged:
            return


def segment_reference(
    image, scales, color=0.9, compactness=0.5, band_weights=None, valid=None, regions=None, min_size=1
):
    """Labels (list of lists) at each of the scales, as nested levels; ``min_size`` after the last."""
    bands, rows, cols = len(image), len(image[0]), len(image[0][0])
    weights = band_weights if band_weights is not None else [1 / bands] * bands
    things, owner = {}, {}
    for r in range(rows):
        for c in range(cols):
            values = [image[b][r][c] for b in range(bands)]
            if (valid is None or valid[r][c]) and all(math.isfinite(v) for v in values):
                things[r * cols + c] = Thing(r, c, values)
                owner[r, c] = r * cols + c
    levels = []
    for scale in scales:
        merge_passes(things, owner, (rows, cols), regions, weights, color, compactness, scale * scale)
        if min_size > 1 and scale == scales[-1]:
            merge_passes(things, owner, (rows, cols), regions, weights, color, compactness, math.inf, small=min_size)
        order = {ident: k + 1 for k, ident in enumerate(sorted(things))}
        levels.append([[order[owner[r, c]] if (r, c) in owner else 0 for c in range(cols)] for r in range(rows)])
    return levels
