# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201
"""A node's least pair: by approximate costs where their bounds allow, else by exact ones."""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.compiled import (
    block_at,
    compiled,
    first_bit,
    get,
    inlined,
    least,
    put,
    within,
)
from landslip.objects.kernels.costs import (
    exact_cost,
)
from landslip.objects.kernels.layout import (
    BEST,
    BEST_COST,
    BLOCK,
    BLOCKS,
    COST,
    EDGES,
    ERROR,
    LANES,
    MEANS,
    NAME,
    SIDE,
    SIZE,
)
from landslip.objects.kernels.order import before


@inlined
def rough_best(word, real, record, side, i):
    """Find a node's least pair; return whether the errors leave it open, and up to which cost."""
    low = least(real, record + COST)
    blocks = np.int64(get(word, record + BLOCKS))
    for number in range(1, blocks):
        low = min(low, least(real, block_at(word, record, number) + COST))
    error = get(real, record + ERROR)
    bound = low + (error + error)
    count, chosen = np.int64(0), np.int64(-1)
    for number in range(blocks):
        block = block_at(word, record, number)
        bits = within(real, block + COST, bound)
        if bits:
            chosen = np.int64(get(word, block + NAME + first_bit(bits)))
            count += 1 if bits & (bits - 1) == 0 else 2
    unclear = low < np.inf and count != 1
    put(side, SIDE * i + BEST, chosen if low < np.inf else -1)
    put(real, record + BEST_COST, low)
    return unclear, bound


@compiled
def settle(graph, i, bound, small, criterion):
    """Let the exact costs decide."""
    chosen, rough = exact_best(graph, i, np.float32(np.inf) if small > 0.0 else bound, small, criterion)
    graph.side[SIDE * i + BEST] = chosen
    graph.real[i * (MEANS + 2 * LANES * len(criterion.steps)) + BEST_COST] = rough


@compiled
def exact_best(graph, i, bound, small, criterion):
    """Find the least pair among the costs up to a bound, exactly; return the neighbour and its approximate cost.

    With ``small`` > 0 only pairs count of which one has fewer pixels than that. (-1, infinite) if there is none.
    """
    word, real, exact, side, pixel = graph.word, graph.real, graph.exact, graph.side, graph.pixel
    stride = MEANS + 2 * LANES * len(criterion.steps)
    record = i * stride
    own = np.int64(pixel[i])
    lowest, chosen, rough = np.inf, np.int64(-1), np.float32(np.inf)
    big = small > 0.0 and get(word, record + SIZE) >= small
    for number in range(get(word, record + BLOCKS)):
        block = block_at(word, record, number)
        for k in range(BLOCK):
            cost = get(real, block + COST + k)
            j = np.int64(get(word, block + NAME + k))
            if j == i or cost == np.inf or not (cost <= bound or bound != bound):
                continue
            if big and get(word, j * stride + SIZE) >= small:
                continue
            f = exact_cost(word, exact, side, i, j, get(word, block + EDGES + k), criterion)
            if f < lowest or (f == lowest and (chosen < 0 or before(own, np.int64(pixel[j]), np.int64(pixel[chosen])))):
                lowest, chosen, rough = f, j, cost
    return chosen, rough
