# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""The merge criterion (Baatz & Schäpe 2000), exactly and approximately.

Most decisions are clear: costs are first computed in single precision, from a record of two cache lines, with
a bound of their error. Where the bound leaves a decision open, the exact cost decides: in double precision,
bands summed in order, with the parentheses of the reference, the same bits whichever object is named first.

The error of an approximate cost. Let u = 2⁻²⁴, n = n₁ + n₂, |mean − offset| ≤ R_b, T_b = n·s_mb = √q_b with
q_b = n·(v₁ + v₂) + n₁n₂d², v = n·s², d the difference of the means; F the terms of the union, H₁ and H₂ those
of the two objects, all of them sums of terms that are not negative, f = F − (H₁ + H₂).

- Rounding the means and subtracting puts d off by at most 2u·R_b + u·|d|, hence T_b by at most √(n₁n₂) times
  that, at most u·n·R_b + u·T_b. All else in q_b is relative, at most 8u, in T_b 4u and its root's own u.
- Weights, products and the sum over bands (a tree of eight, and one addition per further eight bands) add
  (6 + steps)·u; the sum with shape one more. So colour in F is off by at most (13 + steps)·u·F + u·n·Σ w_b·R_b.
- In shape, n, l and B are off by 2u, u and u, and the few operations by 6u more.
- H is computed likewise without d: at most (11 + steps)·u·H. The two subtractions add u·(H₁ + H₂) and u·|f|.

In all at most (15 + steps)·u·(F + H₁ + H₂) + u·n·Σ w_b·R_b; ``Screen`` holds (20 + 2·steps) and 1.5. The double
precision of the exact cost, and of the bound itself, is far within the difference. A floor under R_b covers
what denormal numbers lose; a bound that is not finite leaves every decision to the exact cost.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from landslip.objects.kernels.compiled import (
    DOUBLE,
    NUMBER,
    SINGLE,
    WORD,
    get,
    half_around,
    halves,
    inlined,
    put,
    spread,
    square_root,
    vector_at,
)
from landslip.objects.kernels.layout import (
    HETEROGENEITY,
    LANES,
    MEANS,
    PERIMETER,
    SIZE,
)

UNSURE = np.float32(1e30)
"""Bounds of this size and above, or no number at all, say nothing."""


# ---------------------------------------------------------------------------------------------------
# Exactly
# ---------------------------------------------------------------------------------------------------


@inlined
def scatter_of(n1, n2, n, v1, v2, d):
    """s_m² from n1·s1², n2·s2² and the difference of the means: a sum of positive terms, so stable."""
    return (v1 + v2) / n + n1 * n2 * (d * d) / (n * n)


@inlined
def shape_of(n, perimeter, around):
    """n·l/√n and n·l/B; ``around`` is half of B."""
    box = 2.0 * around
    return n * perimeter / np.sqrt(n), n * perimeter / box


@intrinsic
def exact_color(typing, exact, i, j, n1, n2, n, weights):
    """Σ w·[n·s_m − (n1·s_1 + n2·s_2)] with the bands in vectors, summed in order: the bits of the plain loop."""
    signature = types.float64(exact, types.int64, types.int64, n1, n2, n, weights)

    def generate(context, builder, signature, arguments):
        nodes = context.make_array(signature.args[0])(context, builder, arguments[0])
        weights = context.make_array(signature.args[6])(context, builder, arguments[6])
        vector = ir.VectorType(DOUBLE, LANES)
        columns = cgutils.unpack_tuple(builder, nodes.shape, 2)[1]
        rows = [builder.mul(index, columns) for index in arguments[1:3]]
        n1, n2, n = arguments[3:6]
        product, square, size, size_1, size_2 = (
            spread(builder, value, LANES) for value in (builder.fmul(n1, n2), builder.fmul(n, n), n, n1, n2)
        )
        total = cgutils.alloca_once_value(builder, DOUBLE(0.0))
        padded = builder.sdiv(columns, WORD(2))
        with cgutils.for_range(builder, builder.sdiv(padded, WORD(LANES))) as loop:
            offset = builder.mul(loop.index, WORD(LANES))
            at = [builder.add(row, offset) for row in rows]
            mean = [vector_at(builder, nodes.data, one, vector) for one in at]
            own = [vector_at(builder, nodes.data, builder.add(one, padded), vector) for one in at]
            v = [builder.fmul(count, one) for count, one in zip((size_1, size_2), own, strict=True)]
            s = [
                builder.fmul(count, square_root(builder, one)) for count, one in zip((size_1, size_2), own, strict=True)
            ]
            d = builder.fsub(mean[0], mean[1])
            between = builder.fdiv(builder.fmul(product, builder.fmul(d, d)), square)
            scatter = builder.fadd(builder.fdiv(builder.fadd(v[0], v[1]), size), between)
            joined = builder.fmul(size, square_root(builder, scatter))
            term = builder.fsub(joined, builder.fadd(s[0], s[1]))
            term = builder.fmul(vector_at(builder, weights.data, offset, vector), term)
            value = builder.load(total)
            for lane in range(LANES):
                value = builder.fadd(value, builder.extract_element(term, NUMBER(lane)))
            builder.store(value, total)
        return builder.load(total)

    return signature, generate


@inlined
def perimeter_of(word, record):
    """Edges of a node; beyond 2³¹ the word is read without its sign."""
    return np.float64(np.int64(get(word, record + PERIMETER)) & 0xFFFFFFFF)


@inlined
def exact_cost(word, exact, side, i, j, shared, criterion):
    """Cost of merging two neighbours that share so many edges."""
    stride = MEANS + 2 * LANES * len(criterion.steps)
    n1 = np.float64(get(word, i * stride + SIZE))
    n2 = np.float64(get(word, j * stride + SIZE))
    n = n1 + n2
    l1, l2 = perimeter_of(word, i * stride), perimeter_of(word, j * stride)
    around = np.float64(half_around(side, i, j))
    compact, smooth = shape_of(n, l1 + l2 - 2.0 * shared, around)
    compact_1, smooth_1 = shape_of(n1, l1, np.float64(half_around(side, i, i)))
    compact_2, smooth_2 = shape_of(n2, l2, np.float64(half_around(side, j, j)))
    compact -= compact_1 + compact_2
    smooth -= smooth_1 + smooth_2
    shape = criterion.compactness * compact + (1.0 - criterion.compactness) * smooth
    color = exact_color(exact, i, j, n1, n2, n, criterion.weights)
    return criterion.color * color + (1.0 - criterion.color) * shape


# ---------------------------------------------------------------------------------------------------
# Approximately
# ---------------------------------------------------------------------------------------------------


def _summed(builder, value):
    while value.type.count > 1:
        low, high = halves(builder, value)
        value = builder.fadd(low, high)
    return builder.extract_element(value, NUMBER(0))


@intrinsic
def rough_color(typing, steps, real, i, j, n1, n2, weights):
    """Σ w·n·s_m of the union of the nodes whose records begin at two words."""
    signature = types.float32(steps, real, types.int64, types.int64, types.float32, types.float32, weights)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[1])(context, builder, arguments[1]).data
        weights = context.make_array(signature.args[6])(context, builder, arguments[6]).data
        vector = ir.VectorType(SINGLE, LANES)
        n1, n2 = arguments[4:6]
        size = spread(builder, builder.fadd(n1, n2), LANES)
        product = spread(builder, builder.fmul(n1, n2), LANES)
        total = None
        for step in range(signature.args[0].count):
            at = [builder.add(one, WORD(MEANS + 2 * LANES * step)) for one in arguments[2:4]]
            mean = [vector_at(builder, data, one, vector) for one in at]
            v = [vector_at(builder, data, builder.add(one, WORD(LANES)), vector) for one in at]
            d = builder.fsub(*mean)
            own = builder.fmul(size, builder.fadd(*v))
            root = square_root(builder, builder.fadd(own, builder.fmul(product, builder.fmul(d, d))))
            term = builder.fmul(vector_at(builder, weights, WORD(LANES * step), vector), root)
            total = term if total is None else builder.fadd(total, term)
        return _summed(builder, total)

    return signature, generate


@inlined
def rough_shape(n, perimeter, around, screen):
    """Weighted terms of shape: ``around`` is half the circumference of the bounding box."""
    return screen.compact * (perimeter * np.sqrt(n)) + screen.smooth * (n * perimeter / (around + around))


@inlined
def rough_cost(steps, word, real, side, i, j, shared, screen):
    """Approximate cost of merging two neighbours, and the bound of its error; not yet :func:`sure`."""
    stride = MEANS + 2 * LANES * len(steps)
    a, b = i * stride, j * stride
    n1, n2 = np.float32(get(word, a + SIZE)), np.float32(get(word, b + SIZE))
    n = n1 + n2
    edges = np.int64(get(word, a + PERIMETER)) + np.int64(get(word, b + PERIMETER)) - 2 * np.int64(shared)
    joined = rough_color(steps, real, a, b, n1, n2, screen.weights)
    joined += rough_shape(n, np.float32(edges & 0xFFFFFFFF), np.float32(half_around(side, i, j)), screen)
    apart = get(real, a + HETEROGENEITY) + get(real, b + HETEROGENEITY)
    return joined - apart, screen.relative * (joined + apart) + screen.per_pixel * n


@inlined
def kept(f, error, prune):
    """Return what a list keeps of a cost and its error: infinite from ``prune`` on, anything if nothing is known."""
    sure = error < UNSURE
    f = f if sure else np.float32(0.0)
    error = error if sure else np.float32(np.inf)
    return (f if not f - error >= prune else np.float32(np.inf)), error


@intrinsic
def write_rough(typing, steps, real, exact, record, row, n, offset, weights):
    """Round a node's exact statistics into its record; return Σ w·n·s."""
    signature = types.float32(steps, real, exact, types.int64, types.int64, types.float64, offset, weights)

    def generate(context, builder, signature, arguments):
        arrays = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args, arguments, strict=True)
            if isinstance(kind, types.Array)
        ]
        real, exact, offset, weights = arrays
        steps = signature.args[0].count
        record, row, n = arguments[3:6]
        rough, double = ir.VectorType(SINGLE, LANES), ir.VectorType(DOUBLE, LANES)
        size = spread(builder, n, LANES)
        total = None
        for step in range(steps):
            at = builder.add(builder.mul(row, WORD(2 * LANES * steps)), WORD(LANES * step))
            mean = vector_at(builder, exact, at, double)
            mean = builder.fsub(mean, vector_at(builder, offset, WORD(LANES * step), double))
            v = builder.fmul(size, vector_at(builder, exact, builder.add(at, WORD(LANES * steps)), double))
            to = builder.add(record, WORD(MEANS + 2 * LANES * step))
            v = builder.fptrunc(v, rough)
            for value, where in ((builder.fptrunc(mean, rough), to), (v, builder.add(to, WORD(LANES)))):
                pointer = builder.bitcast(builder.gep(real, [where]), rough.as_pointer())
                builder.store(value, pointer, align=4)
            root = square_root(builder, builder.fmul(builder.fptrunc(size, rough), v))
            term = builder.fmul(vector_at(builder, weights, WORD(LANES * step), rough), root)
            total = term if total is None else builder.fadd(total, term)
        return _summed(builder, total)

    return signature, generate


@inlined
def set_record(steps, word, real, exact, i, n, perimeter, around, screen):
    """Fill a node's record from its exact statistics; ``around`` is half the circumference of its bounding box."""
    record = i * (MEANS + 2 * LANES * len(steps))
    put(word, record + SIZE, n)
    put(word, record + PERIMETER, perimeter)
    color = write_rough(steps, real, exact, record, i, np.float64(n), screen.offset, screen.weights)
    shape = rough_shape(np.float32(n), np.float32(perimeter), np.float32(around), screen)
    put(real, record + HETEROGENEITY, color + shape)


@intrinsic
def join_exact(typing, steps, exact, s, d, n1, n2):
    """Give a node the statistics of its union with another."""
    signature = types.void(steps, exact, types.int64, types.int64, types.float64, types.float64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[1])(context, builder, arguments[1]).data
        steps = signature.args[0].count
        vector = ir.VectorType(DOUBLE, LANES)
        n1, n2 = arguments[4:6]
        n = builder.fadd(n1, n2)
        size_1, size_2, size, product, square = (
            spread(builder, value, LANES) for value in (n1, n2, n, builder.fmul(n1, n2), builder.fmul(n, n))
        )
        for step in range(steps):
            at = [builder.add(builder.mul(k, WORD(2 * LANES * steps)), WORD(LANES * step)) for k in arguments[2:4]]
            further = [builder.add(k, WORD(LANES * steps)) for k in at]
            mean = [vector_at(builder, data, k, vector) for k in at]
            own = [vector_at(builder, data, k, vector) for k in further]
            v = [builder.fmul(count, one) for count, one in zip((size_1, size_2), own, strict=True)]
            d = builder.fsub(*mean)
            between = builder.fdiv(builder.fmul(product, builder.fmul(d, d)), square)
            scatter = builder.fadd(builder.fdiv(builder.fadd(*v), size), between)
            weighted = builder.fadd(builder.fmul(size_1, mean[0]), builder.fmul(size_2, mean[1]))
            for value, to in ((builder.fdiv(weighted, size), at[0]), (scatter, further[0])):
                builder.store(value, builder.bitcast(builder.gep(data, [to]), vector.as_pointer()), align=8)
        return context.get_dummy_value()

    return signature, generate
