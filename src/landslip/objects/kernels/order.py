# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201
"""The order of pairs that cost the same, by a hash of their ids."""

from __future__ import annotations

import numpy as np

from landslip.objects.kernels.compiled import inlined


@inlined
def splitmix64(x):
    """Return the standard output of splitmix64 for the state x."""
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def before(own, a, b):
    """Whether, at equal cost, the pair (own, a) comes before (own, b)."""
    lo_a, hi_a = min(own, a), max(own, a)
    lo_b, hi_b = min(own, b), max(own, b)
    hash_a = splitmix64((np.uint64(lo_a) << np.uint64(32)) + np.uint64(hi_a))
    hash_b = splitmix64((np.uint64(lo_b) << np.uint64(32)) + np.uint64(hi_b))
    if hash_a != hash_b:
        return hash_a < hash_b
    return lo_a < lo_b or (lo_a == lo_b and hi_a < hi_b)
