# Compiled functions carry no annotations: numba infers their types, and what mypy would make of them misleads.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202, ANN401
"""How the segmentation's kernels are compiled, how their memory is laid out, and the vector operations they use.

Every kernel is serial and releases the interpreter lock; parallelism comes from running one kernel on
several ranges or windows from several threads, so that no threading layer is involved and any number of
callers, threads or forked processes may segment at once. No fast-math: what decides is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

BLOCK = 8
"""Lists of neighbours are kept in blocks of this many entries, which are searched without a branch per entry."""

NAME, EDGES, COST = 0, BLOCK, 2 * BLOCK
"""Where in a block the neighbours, the edges shared with them and the costs (as floats) begin."""

POOL = 32
"""Words of a block. A node's first block is the beginning of its record; its unused words hold what follows."""

HETEROGENEITY, SIZE, PERIMETER, ERROR, BEST_COST, MORE, BLOCKS, ROOM = range(3 * BLOCK, 4 * BLOCK)
"""Words of a record: the object's own terms of the criterion (float); pixels; edges; the largest error of a cost
in its list (float); the cost of its least pair (float); where its further blocks are, in units of ``POOL``
words; the blocks in use, the first included; the further blocks that there is room for."""

MEANS, LANES = 32, 8
"""Then, for each eight bands, their means less an offset and their n·s² (floats); zero beyond the last band."""

LINE = 16
"""Words in a cache line."""

DEAD, ALIVE = 0, 255
"""Values of ``Graph.state``; every other value is the token of the pass in which the node last merged."""

LONG = 8
"""Lists of more blocks are put right by their own node, once per pass, instead of entry by entry by others."""

OPEN = -2
"""``Graph.best`` of a node whose least pair must be looked for again in this pass."""

HAS_RIGHT, HAS_BELOW, VALID, STRAY = 1, 2, 4, 8
"""Bits of a pixel: may join its right neighbour, the one below; is valid; is not finite where it should be."""


def steps_of(bands: int) -> tuple[int, ...]:
    """Return one zero per vector that the bands take: kernels are compiled for the length of this tuple."""
    return (0,) * -(-bands // LANES)


def record_words(steps: tuple[int, ...]) -> int:
    """Words of a node's record: whole cache lines."""
    return MEANS + 2 * LANES * len(steps)


class Graph(NamedTuple):
    """Objects ("nodes") with their statistics and lists of neighbours."""

    word: NDArray[np.int32]
    """Records of all nodes one after another, then the pool of further blocks; see :data:`NAME` and following.
    Unused entries of a list name the node itself, at infinite cost; so do those that can never merge."""
    real: NDArray[np.float32]
    """The same memory as floats."""
    exact: NDArray[np.float64]
    """``(nodes, columns)``: means, then variances of all bands, each padded to whole vectors, as the reference has
    them."""
    box: NDArray[np.int32]
    """Four per node: top, left, -bottom, -right of the bounding box in the whole raster, ends exclusive, so that
    the box of a union is the least of each."""
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
    forest: NDArray[np.int32]
    """Where a dead node's object has gone, by slot; a lower or equal slot for pixels."""


class Criterion(NamedTuple):
    """Weights of the merge criterion; those of the bands are filled up with zeros to whole vectors."""

    steps: tuple[int, ...]
    """See :func:`steps_of`."""
    weights: NDArray[np.float64]
    color: float
    compactness: float


class Screen(NamedTuple):
    """What the approximate costs of one graph are computed with, and how far they may be off."""

    offset: NDArray[np.float64]
    """Subtracted from each band's mean before it is rounded; filled up with zeros."""
    weights: NDArray[np.float32]
    """Weights of the bands times that of colour, filled up with zeros to whole vectors."""
    compact: np.float32
    """Weight of compactness times that of shape …"""
    smooth: np.float32
    """… and of smoothness."""
    relative: np.float32
    """Error of a cost per unit of the terms that it is the difference of."""
    per_pixel: np.float32
    """Error of a cost per pixel of the two objects, from rounding the means."""


def source_stamp() -> tuple[float, int]:
    """Return what changes with the source of any kernel: a kernel contains what it inlines from other files."""
    stats = [file.stat() for file in Path(__file__).parent.glob("*.py")]
    return max(stat.st_mtime for stat in stats), sum(stat.st_size for stat in stats)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a kernel, kept on disk where a place for it can be written to."""
    try:
        kernel = numba.njit(nogil=True, error_model="numpy", fastmath=False, cache=True)(function)
    except RuntimeError:  # no place for the cache can be written to: compile anew in each process
        return numba.njit(nogil=True, error_model="numpy", fastmath=False)(function)
    # numba compares the file of the kernel alone
    kernel._cache._cache_file._source_stamp = source_stamp()
    return kernel


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a part of kernels."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)(function)


# ---------------------------------------------------------------------------------------------------
# Memory: plain loads and stores, without numba's handling of negative indices
# ---------------------------------------------------------------------------------------------------


@intrinsic
def get(typing, array, index):
    """Load an element of a one-dimensional array; the index is not negative."""
    signature = array.dtype(array, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return context.unpack_value(builder, signature.return_type, builder.gep(data, [arguments[1]]))

    return signature, generate


@intrinsic
def put(typing, array, index, value):
    """Store an element of a one-dimensional array; the index is not negative."""
    signature = types.void(array, types.int64, array.dtype)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        context.pack_value(builder, signature.args[2], arguments[2], builder.gep(data, [arguments[1]]))
        return context.get_dummy_value()

    return signature, generate


@inlined
def block_at(word, record, number):
    """Return where the block of a node's list begins."""
    return record if number == 0 else (np.int64(get(word, record + MORE)) + number - 1) * POOL


@intrinsic
def prefetch(typing, array, index):
    """Ask for the cache line of an element of a one-dimensional array."""
    signature = types.void(array, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(function, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return signature, generate


# ---------------------------------------------------------------------------------------------------
# Vectors
# ---------------------------------------------------------------------------------------------------

WORD, NUMBER, SINGLE, DOUBLE = ir.IntType(64), ir.IntType(32), ir.FloatType(), ir.DoubleType()


def vector_at(builder: Any, data: Any, index: Any, vector: Any) -> Any:
    """Load a vector that begins at an element."""
    pointer = builder.bitcast(builder.gep(data, [index]), vector.as_pointer())
    return builder.load(pointer, align=4 if vector.element in (NUMBER, SINGLE) else 8)


def spread(builder: Any, value: Any, lanes: int) -> Any:
    """Fill a vector with one value."""
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    one = builder.insert_element(empty, value, NUMBER(0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(NUMBER, lanes), [0] * lanes))


def halves(builder: Any, value: Any) -> tuple[Any, Any]:
    """Cut a vector in two."""
    lanes = value.type.count // 2
    empty = ir.Constant(value.type, ir.Undefined)
    kind = ir.VectorType(NUMBER, lanes)
    low = builder.shuffle_vector(value, empty, ir.Constant(kind, list(range(lanes))))
    return low, builder.shuffle_vector(value, empty, ir.Constant(kind, list(range(lanes, 2 * lanes))))


def square_root(builder: Any, value: Any) -> Any:
    """Take the square root of each lane."""
    name = f"llvm.sqrt.v{value.type.count}f{32 if value.type.element == SINGLE else 64}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(value.type, [value.type]), name)
    return builder.call(function, [value])


def bits_of(builder: Any, mask: Any) -> Any:
    """Turn a mask of eight lanes into the bits of a number."""
    return builder.zext(builder.bitcast(mask, ir.IntType(BLOCK)), WORD)


@intrinsic
def named(typing, word, block, node):
    """Find which entries of the block at a word name a node, as bits."""
    signature = types.int64(word, types.int64, types.int32)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        names = vector_at(builder, data, arguments[1], ir.VectorType(NUMBER, BLOCK))
        return bits_of(builder, builder.icmp_signed("==", names, spread(builder, arguments[2], BLOCK)))

    return signature, generate


@intrinsic
def least(typing, real, at):
    """Find the least of eight costs."""
    signature = types.float32(real, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        part = vector_at(builder, data, arguments[1], ir.VectorType(SINGLE, BLOCK))
        while part.type.count > 1:
            low, high = halves(builder, part)
            part = builder.select(builder.fcmp_ordered("<", low, high), low, high)
        return builder.extract_element(part, NUMBER(0))

    return signature, generate


@intrinsic
def within(typing, real, at, bound):
    """Find which of eight costs are not above a bound, as bits."""
    signature = types.int64(real, types.int64, types.float32)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        costs = vector_at(builder, data, arguments[1], ir.VectorType(SINGLE, BLOCK))
        return bits_of(builder, builder.fcmp_ordered("<=", costs, spread(builder, arguments[2], BLOCK)))

    return signature, generate


@intrinsic
def first_bit(typing, bits):
    """Return the position of the lowest bit set."""
    signature = types.int64(types.int64)

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return signature, generate


@intrinsic
def copy_block(typing, source, at, target, to):
    """Copy the eight words from one place to another."""
    signature = types.void(source, types.int64, target, types.int64)

    def generate(context, builder, signature, arguments):
        source = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        target = context.make_array(signature.args[2])(context, builder, arguments[2]).data
        kind = ir.VectorType((signature.args[0].dtype is types.float32 and SINGLE) or NUMBER, BLOCK)
        values = vector_at(builder, source, arguments[1], kind)
        pointer = builder.bitcast(builder.gep(target, [arguments[3]]), kind.as_pointer())
        builder.store(values, pointer, align=4)
        return context.get_dummy_value()

    return signature, generate


SIDES = ir.VectorType(NUMBER, 4)


@intrinsic
def half_around(typing, box, i, j):
    """Return half the circumference of the bounding box of two nodes together."""
    signature = types.int32(box, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        one, other = (vector_at(builder, data, builder.mul(k, WORD(4)), SIDES) for k in arguments[1:])
        total = builder.select(builder.icmp_signed("<", one, other), one, other)
        while total.type.count > 1:
            low, high = halves(builder, total)
            total = builder.add(low, high)
        return builder.neg(builder.extract_element(total, NUMBER(0)))

    return signature, generate


@intrinsic
def join_boxes(typing, box, i, j):
    """Widen the bounding box of a node to hold that of another."""
    signature = types.void(box, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        at = [builder.mul(k, WORD(4)) for k in arguments[1:]]
        one, other = (vector_at(builder, data, k, SIDES) for k in at)
        both = builder.select(builder.icmp_signed("<", one, other), one, other)
        builder.store(both, builder.bitcast(builder.gep(data, [at[0]]), SIDES.as_pointer()), align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def named_either(typing, word, block, one, other):
    """Find which entries of the block at a word name one or another node, as bits."""
    signature = types.int64(word, types.int64, types.int32, types.int32)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        names = vector_at(builder, data, arguments[1], ir.VectorType(NUMBER, BLOCK))
        same = [builder.icmp_signed("==", names, spread(builder, node, BLOCK)) for node in arguments[2:]]
        return bits_of(builder, builder.or_(*same))

    return signature, generate


@intrinsic
def lower(typing, a, b):
    """Return the lesser of two numbers, the first taken as unsigned, without a branch."""
    signature = types.int64(types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(WORD, [WORD, WORD])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.umin.i64")
        return builder.call(function, arguments)

    return signature, generate
