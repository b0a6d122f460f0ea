"""What a window leaves on disk: its own nodes, and for each pixel of its core the node that it belongs to."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.errors import OutputError
from landslip.files import atomic_path
from landslip.objects.kernels.layout import Graph
from landslip.objects.kernels.memory import empty_part, part_blocks
from landslip.objects.windows.joining import Part, Ranges

_SAVED = ("word", "exact", "side", "pixel")


@dataclass(frozen=True)
class Size:
    """What the graph of the whole needs to know of a part beforehand.

    Parameters
    ----------
    nodes
        Nodes.
    blocks
        Further blocks of their lists.
    ranges
        Least and greatest value of each band.
    """

    nodes: int
    blocks: int
    ranges: Ranges

    @classmethod
    def of(cls, part: Part) -> Size:
        """Take the size of a part."""
        return cls.counted(part.graph.pixel.size, part.graph.word.size, part.ranges)

    @classmethod
    def counted(cls, nodes: int, words: int, ranges: Ranges) -> Size:
        """Take the size of a graph of so many words."""
        return cls(nodes, part_blocks(nodes, words), ranges)


def save(path: Path, part: Part, roots: NDArray[np.int32]) -> None:
    """Write a part, whole or not at all; ``roots`` are the nodes of the core's ``(rows, cols)`` pixels."""
    arrays = {name: np.asarray(getattr(part.graph, name)) for name in _SAVED}
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, roots=roots, ranges=np.stack(part.ranges), **arrays)  # type: ignore[arg-type]  # names


def size_of(path: Path) -> Size:
    """Return what the graph of the whole needs to know of a part.

    Raises
    ------
    OutputError
        The file is damaged.
    """
    try:
        with path.open("rb") as handle, np.load(handle) as content:  # numpy leaves a damaged file open
            ranges, nodes = content["ranges"], int(content["pixel"].size)
            return Size.counted(nodes, int(content["word"].size), (ranges[0], ranges[1]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        message = f"{path}: is damaged; remove it and run again with --resume"
        raise OutputError(message) from error


def load_graph(path: Path) -> Graph:
    """Read the nodes of a part."""
    with np.load(path) as content:
        arrays = {name: content[name] for name in _SAVED}
    views = {"real": arrays["word"].view(np.float32), "byte": arrays["side"].view(np.uint8)}
    return empty_part(0, 0, 0)._replace(**arrays, **views)


def load_roots(path: Path) -> NDArray[np.int32]:
    """Read the node of each pixel of the core."""
    with np.load(path) as content:
        return np.asarray(content["roots"])
