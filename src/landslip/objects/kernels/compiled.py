# Compiled functions carry no annotations: numba infers their types, and what mypy would make of them misleads.
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202, ANN401
"""How the segmentation's kernels are compiled, and the vector operations they use.

Every kernel is serial and releases the interpreter lock; parallelism comes from running one kernel on
several ranges or windows from several threads, so that no threading layer is involved and any number of
callers, threads or forked processes may segment at once. No fast-math: what decides is the same everywhere.

Arrays are copied in loops: a slice set to a slice would also compile the text of an error about their shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from landslip.objects.kernels.layout import (
    BLOCK,
    MORE,
    POOL,
    SIDE,
)


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
def half_around(typing, side, i, j):
    """Return half the circumference of the bounding box of two nodes together."""
    signature = types.int32(side, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        one, other = (vector_at(builder, data, builder.mul(k, WORD(SIDE)), SIDES) for k in arguments[1:])
        total = builder.select(builder.icmp_signed("<", one, other), one, other)
        while total.type.count > 1:
            low, high = halves(builder, total)
            total = builder.add(low, high)
        return builder.neg(builder.extract_element(total, NUMBER(0)))

    return signature, generate


@intrinsic
def join_boxes(typing, side, i, j):
    """Widen the bounding box of a node to hold that of another."""
    signature = types.void(side, types.int64, types.int64)

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        at = [builder.mul(k, WORD(SIDE)) for k in arguments[1:]]
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
