"""The compiled code: to the bit what plain Python computes, and usable where nothing can be cached."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_reference import Thing, cost, splitmix64, union

from landslip.objects.kernels import compiled, costs, layout, order, rebuilding
from landslip.objects.kernels.memory import empty_graph
from landslip.objects.kernels.weights import at_least, make_criterion, make_screen


@numba.njit
def pair_cost(graph, i, j, shared, criterion):
    return costs.exact_cost(graph.word, graph.exact, graph.side, i, j, shared, criterion)


@numba.njit
def fill(graph, i, n, perimeter, criterion, screen):
    around = compiled.half_around(graph.side, i, i)
    costs.set_record(criterion.steps, graph.word, graph.real, graph.exact, i, n, perimeter, around, screen)


@numba.njit
def rough_pair(graph, i, j, shared, criterion, screen):
    f, error = costs.rough_cost(criterion.steps, graph.word, graph.real, graph.side, i, j, shared, screen)
    return costs.kept(f, error, np.float32(np.inf))


@numba.njit
def hashed(x):
    return order.splitmix64(x)


@pytest.mark.filterwarnings("error")
def test_single_precision_is_rounded_up():
    values = [0.1, 0.3, 1 / 3, 900.0, 1e-60, 1e38, float(np.finfo(np.float32).max) * 1.0000001, 1e60, np.inf]
    for value in values:
        above = at_least(value)
        assert above.dtype == np.float32
        assert float(above) >= value
        assert not float(np.nextafter(above, np.float32(-1))) >= value


def graph_of(things, criterion, values):
    bands = len(values)
    graph = empty_graph(len(things), 1, criterion.steps, np.empty(0, np.int32))
    flat = values.reshape(bands, -1)
    screen = make_screen(criterion, flat.min(axis=1), flat.max(axis=1))
    for i, thing in enumerate(things):
        graph.exact[i] = 0
        graph.exact[i, :bands] = thing.mean
        graph.exact[i, criterion.weights.size :][:bands] = thing.var
        top, bottom, left, right = thing.box
        graph.side[layout.SIDE * i + layout.BOX :][:4] = top, left, -bottom, -right
        fill(graph, i, thing.n, thing.perimeter, criterion, screen)
    return graph, screen


def two_rows(values, size):
    things = []
    for r in range(2):
        thing = Thing(r, 0, values[:, r, 0])
        for c in range(1, size):
            thing = union(thing, Thing(r, c, values[:, r, c]), 1)
        things.append(thing)
    return things


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
    things = two_rows(values, size)
    weights = [float(w) for w in rng.random(bands)]
    criterion = make_criterion(weights, color, compactness)
    graph, _ = graph_of(things, criterion, values)
    expected = cost(*things, size, weights, color, compactness)
    assert pair_cost(graph, 0, 1, size, criterion) == expected
    assert pair_cost(graph, 1, 0, size, criterion) == expected


@settings(max_examples=150, deadline=None)
@given(
    bands=st.integers(1, 20),
    seed=st.integers(0, 10**6),
    size=st.integers(1, 40),
    color=st.floats(0, 1),
    compactness=st.floats(0, 1),
    offset=st.sampled_from([0.0, 1e4, -1e7]),
    unit=st.sampled_from([1e-30, 1e-12, 1e-3, 1.0, 1e6, 1e18, 1e30]),
    heavy=st.sampled_from([1e-35, 1e-3, 1.0, 1e20]),
    flat=st.booleans(),
)
def test_approximate_costs_are_within_their_bounds(bands, seed, size, color, compactness, offset, unit, heavy, flat):
    rng = np.random.default_rng(seed)
    values = ((rng.normal(0, 0 if flat else 50, (bands, 2, 40)) + offset) * unit).astype(np.float32)
    things = two_rows(values, size)
    weights = [float(w) * heavy for w in rng.random(bands)]
    criterion = make_criterion(weights, color, compactness)
    graph, screen = graph_of(things, criterion, values)
    exact = pair_cost(graph, 0, 1, size, criterion)
    rough, error = rough_pair(graph, 0, 1, size, criterion, screen)
    assert abs(float(rough) - exact) <= float(error)


def test_bounds_of_ordinary_images_are_narrow():
    values = np.random.default_rng(0).normal(100, 50, (5, 2, 40)).astype(np.float32)
    criterion = make_criterion([0.2] * 5, 0.9, 0.5)
    graph, screen = graph_of(two_rows(values, 40), criterion, values)
    rough, error = rough_pair(graph, 0, 1, 40, criterion, screen)
    assert error < 1e-3 * abs(rough)


@given(st.integers(0, 2**64 - 1))
def test_the_hash_is_that_of_plain_python(x):
    assert int(hashed(np.uint64(x))) == splitmix64(x)


def test_a_record_begins_with_a_cache_line():
    graph = empty_graph(5, 7, layout.steps_of(5), np.empty(0, np.int32))
    assert graph.word.ctypes.data % 64 == 0
    assert 4 * layout.record_words(layout.steps_of(5)) % 64 == 0
    assert graph.exact.strides[0] % 64 == 0
    assert np.shares_memory(graph.word, graph.real)


def test_cached_kernels_are_those_of_all_the_source_they_are_made_of(tmp_path):
    index = rebuilding.rebuild._cache._cache_file
    assert index._source_stamp == compiled.source_stamp()
    places = {"cache_path": str(tmp_path), "filename_base": "kernel"}
    type(index)(**places, source_stamp=compiled.source_stamp()).save("key", "data")
    assert type(index)(**places, source_stamp=compiled.source_stamp()).load("key") == "data"
    assert type(index)(**places, source_stamp=(0.0, 0)).load("key") is None


def test_without_a_place_for_the_cache_kernels_compile_without(monkeypatch):
    honest = numba.njit

    def refuse(**options):
        if options.get("cache"):
            message = "cannot cache function: no locator available"
            raise RuntimeError(message)
        return honest(**options)

    monkeypatch.setattr(compiled.numba, "njit", refuse)
    assert compiled.compiled(lambda x: x + 1)(2) == 3


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
    assert out.stdout.strip() == "6"
