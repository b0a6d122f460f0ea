"""Reading ahead of computing, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import rasterio

from landslip.mapping.probability.source import Block

CACHE_MB = 64
"""GDAL's cache of decoded tiles; by default it would take a twentieth of the machine's memory."""


class Ahead:
    """Runs an iterator in a thread of its own, a few items ahead, so that reading and computing overlap."""

    def __init__(self, items: Iterator[Block], depth: int = 2) -> None:
        self._items = items
        self._queue: queue.Queue[Any] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="landslip-read", daemon=True)

    def __enter__(self) -> Iterator[Block]:
        self._thread.start()
        return self._take()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            with_room = not self._queue.empty()
            if with_room:
                self._queue.get_nowait()
            self._thread.join(0.01)

    def _work(self) -> None:
        try:
            with rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
                for item in self._items:
                    if self._stop.is_set():
                        return
                    self._queue.put(item)
            self._queue.put(None)
        except BaseException as error:  # whatever it is, it is raised again where the items are taken
            self._queue.put(error)

    def _take(self) -> Iterator[Block]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
