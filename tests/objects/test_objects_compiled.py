"""The compiled code: to the bit what plain Python computes, and usable where nothing can be cached."""

import math
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_reference import Thing, cost, splitmix64, union

from landslip.objects import kernels
from landslip.objects.merging import empty_graph, make_criterion


@numba.njit
def pair_cost(node, box, i, j, shared, criterion):
    return kernels._pair_cost(node, box, i, j, shared, criterion)


@numba.njit
def hashed(x):
    return kernels._splitmix64(x)


def put(graph, i, thing, bands):
    row = graph.node[i]
    row[:] = 0
    row[kernels.SIZE], row[kernels.PERIMETER] = thing.n, thing.perimeter
    top, bottom, left, right = thing.box
    row[kernels.COMPACT] = thing.n * thing.perimeter / math.sqrt(thing.n)
    row[kernels.SMOOTH] = thing.n * thing.perimeter / (2 * ((bottom - top) + (right - left)))
    graph.box[i, kernels.TOP : kernels.RIGHT + 1] = thing.box
    for b in range(bands):
        row[kernels.BANDS + b] = thing.mean[b]
        row[kernels.BANDS + bands + b] = thing.n * thing.var[b]
        row[kernels.BANDS + 2 * bands + b] = thing.n * math.sqrt(thing.var[b])


@settings(max_examples=40, deadline=None)
@given(
    bands=st.integers(1, 13),
    seed=st.integers(0, 10**6),
    size=st.integers(1, 9),
    color=st.floats(0, 1),
    compactness=st.floats(0, 1),
    offset=st.sampled_from([0.0, 1e4, -1e7]),
)
def test_costs_are_those_of_plain_python_to_the_bit(bands, seed, size, color, compactness, offset):
    rng = np.random.default_rng(seed)
    values = (rng.normal(0, 50, (bands, 2, 10)) + offset).astype(np.float32)
    things = []
    for r in range(2):
        thing = Thing(r, 0, values[:, r, 0])
        for c in range(1, size):
            thing = union(thing, Thing(r, c, values[:, r, c]), 1)
        things.append(thing)
    weights = [float(w) for w in rng.random(bands)]
    graph = empty_graph(2, 1, bands, np.empty(0, np.int32))
    for i, thing in enumerate(things):
        put(graph, i, thing, bands)
    criterion = make_criterion(weights, color, compactness)
    expected = cost(*things, size, weights, color, compactness)
    assert pair_cost(graph.node, graph.box, 0, 1, size, criterion) == expected
    assert pair_cost(graph.node, graph.box, 1, 0, size, criterion) == expected


@given(st.integers(0, 2**64 - 1))
def test_the_hash_is_that_of_plain_python(x):
    assert int(hashed(np.uint64(x))) == splitmix64(x)


def test_a_node_begins_with_a_cache_line():
    graph = empty_graph(5, 7, 5, np.empty(0, np.int32))
    assert graph.node.ctypes.data % 64 == 0
    assert graph.node.strides[0] % 64 == 0
    assert graph.cost.ctypes.data % 64 == 0
    assert np.shares_memory(graph.node, graph.box)
    assert np.shares_memory(graph.name, graph.cost)


def test_without_a_place_for_the_cache_kernels_compile_without(monkeypatch):
    honest = numba.njit

    def refuse(**options):
        if options.get("cache"):
            message = "cannot cache function: no locator available"
            raise RuntimeError(message)
        return honest(**options)

    monkeypatch.setattr(kernels.numba, "njit", refuse)
    assert kernels._compile(lambda x: x + 1)(2) == 3


@pytest.mark.slow
def test_a_process_that_cannot_write_its_cache_segments_all_the_same(tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(blocked / "inside"),
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
    }
    code = "import numpy as np; from landslip.objects import segment; print(segment(np.eye(4)[None] * 50, 9).max())"
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "7"
