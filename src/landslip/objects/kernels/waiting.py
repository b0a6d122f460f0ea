# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201
"""How nodes that have stopped in windows go on in the graph of the whole; see ``stopping``."""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.compiled import compiled, get, put
from landslip.objects.kernels.layout import (
    BEST,
    BEST_COST,
    BYTES,
    DEAD,
    DIRTY,
    LANES,
    MEANS,
    OPEN,
    SIDE,
    STATE,
    WAITS,
)


@compiled
def list_waiting(graph, low, high, last, nodes, ends):
    """Sort the nodes of a range that wait for a pass from the second to ``last`` by it, and within by number.

    They are put into ``nodes``; those that wait for pass p end at ``ends[p]``.
    """
    byte = graph.byte
    for turn in range(last + 1):
        ends[turn] = 0
    for i in range(low, high):
        turn = np.int64(get(byte, i * BYTES + WAITS))
        if turn < last:
            ends[turn + 1] += 1  # where the nodes of the pass after it begin
    for turn in range(1, last + 1):
        ends[turn] += ends[turn - 1]
    for i in range(low, high):
        turn = np.int64(get(byte, i * BYTES + WAITS))
        if turn <= last:
            nodes[ends[turn]] = i
            ends[turn] += 1


@compiled
def wake(graph, woken, token, living, low, end):
    """Have nodes looked at in the next pass; they are put into ``living[low:end]``, in order. Return its new end."""
    new_end = end + woken.size
    a, b, to = end - 1, woken.size - 1, new_end - 1
    while b >= 0:
        if a >= low and living[a] > woken[b]:
            living[to] = living[a]
            a -= 1
        else:
            living[to] = woken[b]
            put(graph.byte, np.int64(woken[b]) * BYTES + DIRTY, token)
            b -= 1
        to -= 1
    return new_end


@compiled
def reopen(graph, steps, woken, token, waiting):
    """Have those that were not merged in this pass look for their least pair again; return how many they are.

    Neighbours that took part in this pass before them have changed their lists meanwhile.
    """
    stride = MEANS + 2 * LANES * len(steps)
    count = 0
    for q in range(woken.size):
        i = np.int64(woken[q])
        state = get(graph.byte, i * BYTES + STATE)
        if state != DEAD and state != token:
            put(graph.byte, i * BYTES + DIRTY, token)
            put(graph.side, i * SIDE + BEST, OPEN)
            put(graph.real, i * stride + BEST_COST, np.float32(np.nan))
            waiting[count] = i
            count += 1
    return count
