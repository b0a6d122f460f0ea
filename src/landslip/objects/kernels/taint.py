# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201
"""How what the edge of a window might falsify spreads from pass to pass."""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.compiled import block_at, compiled, get, put
from landslip.objects.kernels.layout import (
    BEST,
    BEST_COST,
    BLOCK,
    BLOCKS,
    BYTES,
    ERROR,
    LANES,
    MEANS,
    NAME,
    SIDE,
    TAINT,
)


@compiled
def spread_taint(graph, steps, limit, rim, low, high):
    """Taint what the coming pass might get wrong.

    A node's decision depends on its own neighbours, and on the neighbours of the one it would merge with. Tainted
    nodes stay as they are. Newly tainted are ``rim[low:high]``; what is tainted now is put behind. Return where
    it ends.
    """
    word, real, side, byte = graph.word, graph.real, graph.side, graph.byte
    stride = MEANS + 2 * LANES * len(steps)
    end = high
    for q in range(low, high):
        i = np.int64(rim[q])
        for number in range(np.int64(get(word, i * stride + BLOCKS))):
            block = block_at(word, i * stride, number)
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                if get(byte, j * BYTES + TAINT) == 0:
                    put(byte, j * BYTES + TAINT, 1)
                    rim[end] = j
                    end += 1
    near = end
    for q in range(high, near):
        i = np.int64(rim[q])
        for number in range(np.int64(get(word, i * stride + BLOCKS))):
            block = block_at(word, i * stride, number)
            for k in range(BLOCK):
                j = np.int64(get(word, block + NAME + k))
                if get(byte, j * BYTES + TAINT) == 0 and get(side, j * SIDE + BEST) == i:
                    rough = np.float64(get(real, j * stride + BEST_COST))
                    if rough - np.float64(get(real, j * stride + ERROR)) < limit:
                        put(byte, j * BYTES + TAINT, 1)
                        rim[end] = j
                        end += 1
    return end
