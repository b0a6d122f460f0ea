# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201
"""Keeping a graph small: more room for lists, and the dead dropped."""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.compiled import (
    block_at,
    compiled,
    get,
    prefetch,
    put,
)
from landslip.objects.kernels.layout import (
    ALIVE,
    BEST,
    BLOCK,
    BLOCKS,
    BYTES,
    DEAD,
    LINE,
    MORE,
    NAME,
    PARENT,
    POOL,
    ROOM,
    SIDE,
    STATE,
)

AHEAD = 4
"""How many nodes ahead memory is asked for."""


@compiled
def count_blocks(graph, stride):
    """Return how many further blocks the lists use."""
    word = graph.word
    total = np.int64(0)
    for i in range(graph.pixel.size):
        total += max(get(word, i * stride + BLOCKS) - 1, 0)
    return total


@compiled
def move_lists(graph, stride, word, first):
    """Copy all records to other memory, and the blocks in use to ``first`` and following; return where they end.

    A node that has just died has its list until it is joined to the survivor's; then it has no blocks.
    """
    old = graph.word
    cursor = np.int64(first)
    for i in range(graph.pixel.size):
        record = i * stride
        if get(old, record + BLOCKS) == 0:
            put(word, record + BLOCKS, 0)
            continue
        for at in range(record, record + stride):
            put(word, at, get(old, at))
        more = np.int64(get(old, record + BLOCKS)) - 1
        source = np.int64(get(old, record + MORE)) * POOL
        for at in range(more * POOL):
            put(word, cursor * POOL + at, get(old, source + at))
        put(word, record + MORE, cursor)
        put(word, record + ROOM, more)
        cursor += more
    return cursor


@compiled
def drop_dead(graph, stride, living):
    """Move the living nodes to the front, in order, and rename them everywhere; return their number.

    ``living`` are all of them, in order, perhaps with some that are dead.
    """
    word, exact, side, byte, pixel = graph.word, graph.exact, graph.side, graph.byte, graph.pixel
    alive = 0
    for q in range(living.size):
        i = np.int64(living[q])
        if get(byte, i * BYTES + STATE) != DEAD:
            put(side, i * SIDE + PARENT, alive)
            living[alive] = i
            alive += 1
    for k in range(alive):
        if k + AHEAD < alive:
            far = np.int64(living[k + AHEAD])
            for line in range(0, stride, LINE):
                prefetch(word, far * stride + line)
            prefetch(side, far * SIDE)
        i = np.int64(living[k])
        if k != i:
            for at in range(stride):
                put(word, k * stride + at, get(word, i * stride + at))
            for column in range(exact.shape[1]):
                exact[k, column] = exact[i, column]
            for at in range(SIDE):
                if at != PARENT:  # the new number of the node that was here is still needed
                    put(side, k * SIDE + at, get(side, i * SIDE + at))
            pixel[k] = pixel[i]
        chosen = np.int64(get(side, k * SIDE + BEST))
        if chosen >= 0:
            put(side, k * SIDE + BEST, get(side, chosen * SIDE + PARENT))
        for number in range(np.int64(get(word, k * stride + BLOCKS))):
            block = block_at(word, k * stride, number)
            for entry in range(BLOCK):
                name = np.int64(get(word, block + NAME + entry))
                put(word, block + NAME + entry, get(side, name * SIDE + PARENT))
    for i in range(alive):
        put(byte, i * BYTES + STATE, ALIVE)
        put(side, i * SIDE + PARENT, i)
    return alive
