"""Memory kept from call to call: used again, bounded, given back; and a graph that outgrows its room."""

import errno
import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from landslip.objects import segment
from landslip.objects import segmentation as work
from landslip.objects.kernels import memory


@pytest.fixture
def nothing_kept():
    gc.collect()
    memory.give_back()
    yield
    memory.give_back()


def image_of(size, seed=0):
    return np.random.default_rng(seed).normal(100, 20, (3, size, size)).astype(np.float32)


def no_new_piece(size):
    message = f"{size} bytes were asked of the system"
    raise AssertionError(message)


@pytest.mark.parametrize("size", [200, 300])  # one window, and several
def test_the_next_call_works_in_the_same_memory_whatever_is_left_in_it(nothing_kept, monkeypatch, size):
    first = segment(image_of(size), 40, threads=1)
    assert memory._kept
    for byte in (0x00, 0xFF, 0x7F):
        for piece in memory._kept:
            np.frombuffer(piece, np.uint8)[:] = byte
        monkeypatch.setattr(memory, "_new_piece", no_new_piece)
        np.testing.assert_array_equal(segment(image_of(size), 40, threads=1), first)
        monkeypatch.undo()


def test_what_is_in_use_is_not_kept(nothing_kept):
    arrays = [memory.Arena(3 * 2**20).empty(2**20, np.uint8) for _ in range(3)]
    assert memory._kept == []
    view = arrays.pop()[5:7]
    del arrays
    gc.collect()
    assert len(memory._kept) == 2
    view[:] = 1
    del view
    gc.collect()
    assert len(memory._kept) == 3


def filled_arenas(*mib):
    """Arenas of pages that have all been written to."""
    arenas = [memory.Arena(size * 2**20) for size in mib]
    for arena in arenas:
        arena.empty(arena.size, np.uint8)[:] = 1
    return arenas


def test_no_more_is_kept_than_allowed(nothing_kept, monkeypatch):
    monkeypatch.setattr(memory, "KEPT_AT_MOST", 10 * 2**20)
    arenas = filled_arenas(4, 4, 4, 4)
    del arenas
    gc.collect()
    assert sum(len(piece) for piece in memory._kept) == 8 * 2**20


def test_no_more_is_kept_than_a_quarter_of_the_machine(nothing_kept, monkeypatch):
    monkeypatch.setattr(memory, "_machine_bytes", lambda: 40 * 2**20)
    arenas = filled_arenas(4, 4, 4, 4)
    del arenas
    gc.collect()
    assert sum(len(piece) for piece in memory._kept) == 8 * 2**20


def test_room_that_was_never_needed_does_not_count(nothing_kept, monkeypatch):
    monkeypatch.setattr(memory, "KEPT_AT_MOST", 10 * 2**20)
    arena = memory.Arena(64 * 2**20)
    arena.empty(2**22, np.uint8)[:] = 1
    del arena
    gc.collect()
    (piece,) = memory._kept
    assert 2**22 <= memory._held(piece) <= 2**22 + 2 * memory.PAGE
    arenas = filled_arenas(64)  # takes it, and all of it
    assert memory._kept == []
    del arenas
    gc.collect()
    assert memory._kept == []


def test_pieces_that_do_not_fit_are_given_back_before_more_is_asked_for(nothing_kept):
    arenas = filled_arenas(4, 4, 4, 4)
    del arenas
    gc.collect()
    small, large = memory.Arena(2**20), memory.Arena(2**23)
    assert len(memory._kept) == 1  # one taken for the small one, two given back for the large one
    assert (small.size, large.size) == (2**20, 2**23)
    two, three = memory.Arena(2**22), memory.Arena(3 * 2**20)
    assert memory._kept == []
    del small, large, two, three


def test_what_is_given_back_counts_by_what_it_holds(nothing_kept):
    arenas = [memory.Arena(64 * 2**20), memory.Arena(64 * 2**20), *filled_arenas(32)]
    del arenas
    gc.collect()
    assert len(memory._kept) == 3
    large = memory.Arena(100 * 2**20)  # two pieces of 64 MiB that hold nothing make no room for it
    assert memory._kept == []
    del large


def test_a_small_request_does_not_cost_the_large_piece(nothing_kept):
    arenas = filled_arenas(32)
    del arenas
    small = memory.Arena(2**21)
    assert memory._kept == []
    del small
    gc.collect()
    assert [len(piece) for piece in memory._kept] == [32 * 2**20]


def test_where_the_system_cannot_take_pages_at_will_nothing_is_kept(nothing_kept, monkeypatch):
    monkeypatch.delattr("mmap.MADV_FREE")
    segment(image_of(200), 40)
    assert memory._kept == []


def test_where_pages_cannot_be_counted_pieces_count_whole(nothing_kept, monkeypatch):
    monkeypatch.setattr(memory, "KEPT_AT_MOST", 10 * 2**20)
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    memory._mincore.cache_clear()
    monkeypatch.setattr(memory, "_mincore", memory._mincore.__wrapped__)
    large, small = memory.Arena(64 * 2**20), memory.Arena(4 * 2**20)
    del large, small
    gc.collect()
    assert [len(piece) for piece in memory._kept] == [4 * 2**20]


def test_memory_that_is_held_to_the_end_of_the_process_goes_quietly():
    code = "import builtins; from landslip.objects.kernels.memory import Arena; builtins.held = Arena(2**22)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_memory_that_the_system_refuses_is_asked_for_again_without_what_is_kept(nothing_kept, monkeypatch):
    arenas = filled_arenas(4)
    del arenas
    gc.collect()
    honest, refused = memory.mmap.mmap, []

    def refusing(*arguments, **options):
        if memory._kept or arguments[1] >= 2**33:
            refused.append(arguments[1])
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return honest(*arguments, **options)

    monkeypatch.setattr(memory.mmap, "mmap", refusing)
    monkeypatch.setattr(memory, "_kept_piece", lambda size: None)
    assert memory.Arena(2**23).size == 2**23
    assert refused == [2**23]
    with pytest.raises(MemoryError, match=r"refuses 16\.00 GiB for the objects: Cannot allocate memory"):
        memory.Arena(2**34)


def test_callers_at_the_same_time_do_not_share_memory(nothing_kept):
    wanted = [segment(image_of(280, seed), 40) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            found = list(pool.map(lambda seed: segment(image_of(280, seed), 40, threads=2), range(4)))
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("room", [(0.0, 0.0), (0.001, 0.3), (0.3, 0.0), (0.02, 0.001)])
def test_a_graph_that_outgrows_its_room(monkeypatch, room):
    image = image_of(600, 7)
    wanted = segment(image, 30, threads=1)
    monkeypatch.setattr(work, "LEFT", room)
    for threads in (1, 2):
        np.testing.assert_array_equal(segment(image, 30, threads=threads), wanted)
