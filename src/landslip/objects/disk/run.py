"""Segmentation of rasters larger than memory, identical to the segmentation in memory.

The first passes run in windows read from disk; each window leaves a part with its proven nodes. The parts
are then joined into the graph of the whole, on which the remaining passes run; last, the labels are written
window by window. Parts survive an interruption, and a later run takes them up.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import rasterio
from numpy.typing import NDArray

from landslip.errors import ConfigError, InputError, OutputError, ResourceError
from landslip.files import atomic_path, locked, read_json, write_json, writing
from landslip.objects.disk.sources import Source, open_source
from landslip.objects.kernels.handover import label_roots
from landslip.objects.kernels.layout import (
    MEANS,
    SLOT,
    Graph,
    record_words,
    steps_of,
)
from landslip.objects.kernels.memory import empty_part
from landslip.objects.kernels.weights import make_criterion
from landslip.objects.options import Options, check_shape
from landslip.objects.windows.joining import Cells, Part, Size, join
from landslip.objects.windows.merging import SERIAL, Workers, usable_threads
from landslip.objects.windows.plans import Pixels, Plan, Task
from landslip.objects.windows.tiling import Arenas, Margins, run_window, window_bytes
from landslip.progress import SILENT, Progress
from landslip.rasters import RasterSpec, cog_writer, write_block
from landslip.windows import Window

GIB = 2**30

FIRST_PASSES = ((12, 76), (16, 120), (20, 200))
"""Passes in windows, and pixels around a core. The more passes, the fewer objects are left for the graph of the
whole, and the wider the margin has to be: taint came 61 to 110 pixels deep in 12 passes, 160 in 16."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RasterSegmentation:
    """What a segmentation on disk came to.

    Parameters
    ----------
    path
        The label raster: int32, 0 = invalid.
    objects
        Number of objects.
    windows
        Windows of the first passes.
    reruns
        How often a window had to be run again with a wider margin.
    passes
        Passes in all.
    """

    path: Path
    objects: int
    windows: int
    reruns: int
    passes: int


def segment_raster(
    src: str | os.PathLike[str] | Source,
    dst: str | os.PathLike[str],
    scale: float,
    *,
    layers: Sequence[str] | None = None,
    bounds: Sequence[tuple[float, float]] | None = None,
    color: float = 0.9,
    compactness: float = 0.5,
    band_weights: Sequence[float] | None = None,
    min_size: int = 1,
    threads: int | None = None,
    memory_gib: float = 4.0,
    resume: bool = False,
    plan: Plan | None = None,
    progress: Progress = SILENT,
) -> RasterSegmentation:
    """Segment a raster on disk into a raster of labels, with the result of :func:`landslip.objects.segment`.

    Parameters
    ----------
    src
        Scene folder, any multi-band raster, or an open source.
    dst
        Label raster to write (a cloud-optimised GeoTIFF); it appears when it is whole.
    scale, color, compactness, band_weights, min_size, threads
        As for :func:`landslip.objects.segment`.
    layers
        Which layers; by default a scene's blue, green, red and nir, or all bands.
    bounds
        For each layer the values that become 0 and 255; by default the values are taken as they are.
    memory_gib
        Memory that the work may take, in GiB, beyond what Python and its libraries hold.
    resume
        Take up the parts that an interrupted run with the same settings left behind.
    plan
        Windows; chosen from the memory by default. It never changes the result.
    progress
        Who is told how far it is.

    Returns
    -------
    RasterSegmentation
        Where the labels are and what was done.

    Raises
    ------
    ConfigError, InputError, LayerError, MissingInputError
        Options or input unusable.
    ResourceError
        The memory does not suffice; the message says how much would.
    OutputError
        The disk is full, or the output is in use.
    """
    source = src if isinstance(src, Source) else open_source(src, layers)
    if bounds is not None:
        source = source.stretched(bounds)
    bands, rows, cols = check_shape((len(source.layers), *source.grid.shape))
    options = Options.checked(
        bands, [scale], color=color, compactness=compactness, band_weights=band_weights,
        min_size=min_size, threads=threads,
    )  # fmt: skip
    if not memory_gib > 0:
        message = f"memory_gib is {memory_gib!r}; it must be greater than 0, for example 4"
        raise ConfigError(message)
    used = usable_threads(threads)
    plans = _plans((rows, cols), bands, used, memory_gib) if plan is None else [(plan, used)]
    criterion = make_criterion(options.band_weights, options.color, options.compactness)
    folder = Path(f"{os.fspath(dst)}.partial")
    # GDAL would keep a twentieth of the machine's memory in blocks that are read once
    with rasterio.Env(GDAL_CACHEMAX=128), writing(dst), locked(folder), contextlib.ExitStack() as stack:
        runs = []
        for chosen, threads_of in plans:
            task = Task((rows, cols), chosen, criterion, float(scale) ** 2, float(scale) ** 2)
            workers = stack.enter_context(Workers(threads_of)) if threads_of > 1 else SERIAL
            runs.append(_Run(source, options, task, folder, memory_gib * GIB, workers, progress))
        run = _first_passes(runs, resume=resume)
        labels, cells, pixel, passes, objects = run.merge()
        run.write(Path(dst), labels, cells, pixel)
    shutil.rmtree(folder, ignore_errors=True)
    return RasterSegmentation(Path(dst), objects, len(run.cores), run.reruns, passes)


def node_bytes(bands: int) -> int:
    """Memory of a node in the graph of the whole, its list of neighbours and scratch memory included."""
    words = record_words(steps_of(bands))
    # the record, the exact statistics (as many words, less those of the list), a quarter of a block, small arrays
    return 4 * words + 8 * (words - MEANS) + 32 + 64


def _plans(shape: tuple[int, int], bands: int, threads: int, memory_gib: float) -> list[tuple[Plan, int]]:
    """Plan the first passes, and with how many threads: few passes, and more in case they leave too many objects."""
    plans = [_plan(shape, bands, threads, memory_gib, *each) for each in FIRST_PASSES]
    return [plan for plan in plans if plan is not None] or [_too_small(bands, memory_gib)]


def _plan(
    shape: tuple[int, int], bands: int, threads: int, memory_gib: float, passes: int, margin: int
) -> tuple[Plan, int] | None:
    """Choose the largest windows that half of the memory allows, with fewer threads if need be."""
    per_pixel = window_bytes(steps_of(bands)) + 8 * bands
    for used in range(threads, 0, -1):
        edge = int((memory_gib * GIB / 2 / used / per_pixel) ** 0.5) - 2 * margin
        if edge >= min(256, *shape):
            return Plan.of(shape, min(edge // 64 * 64 or edge, 1024), passes, margin), used
    return None


def _too_small(bands: int, memory_gib: float) -> NoReturn:
    per_pixel = window_bytes(steps_of(bands)) + 8 * bands
    need = 2 * per_pixel * (256 + 2 * FIRST_PASSES[0][1]) ** 2 / GIB
    message = f"a memory of {memory_gib:g} GiB is too small for one window; give at least {need:.2f} GiB (--memory)"
    raise ResourceError(message)


def _first_passes(runs: list[_Run], *, resume: bool) -> _Run:
    """Run the first passes by the first plan that leaves few enough objects; return the run.

    An interrupted run is taken up by the plan that it had come to.
    """
    begun = next((k for k, run in enumerate(runs) if resume and run.has_begun()), 0)
    for run in runs[begun:-1]:
        run.prepare(resume=resume and run is runs[begun])
        if run.windows(give_up=True):
            return run
    runs[-1].prepare(resume=resume and runs[-1] is runs[begun])
    runs[-1].windows()
    return runs[-1]


class _Run:
    """One segmentation on disk, step by step."""

    def __init__(
        self,
        source: Source,
        options: Options,
        task: Task,
        folder: Path,
        budget: float,
        workers: Workers,
        progress: Progress,
    ) -> None:
        self.source, self.options, self.task, self.folder = source, options, task, folder
        self.budget, self.workers, self.progress = budget, workers, progress
        self.cores = task.plan.windows(task.shape)
        self.reruns = 0
        self.sizes: list[Size] = []

    def has_begun(self) -> bool:
        """Whether the folder holds parts of this very run."""
        file = self.folder / "settings.json"
        return file.exists() and bool(read_json(file, what="partial segmentation") == self._settings())

    def prepare(self, *, resume: bool) -> None:
        """Make sure that parts in the folder, if they are taken up, belong to the same work."""
        if (self.folder / "settings.json").exists() and resume:
            if not self.has_begun():
                message = f"{self.folder}: belongs to a segmentation with other settings; remove it or omit --resume"
                raise ConfigError(message)
            return
        for stale in self.folder.glob("window-*.npz"):
            stale.unlink()
        write_json(self.folder / "settings.json", self._settings())

    def _settings(self) -> dict[str, Any]:
        path = self.source.path
        stamp = [p.stat() for p in (path, path / "bands.tif") if p.is_file()]
        plain = {
            "source": str(path.resolve()),
            "changed": [[s.st_size, s.st_mtime_ns] for s in stamp],
            "layers": list(self.source.layers),
            "bounds": [list(pair) for pair in self.source.bounds],
            "grid": self.source.grid.to_dict(),
            "scale": self.options.scales[0],
            "color": self.options.color,
            "compactness": self.options.compactness,
            "band_weights": list(self.options.band_weights),
            "plan": [*self.task.plan.core, self.task.plan.passes],
        }
        return {"format": 3, "digest": hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest(), **plain}

    def windows(self, *, give_up: bool = False) -> bool:
        """Run the first passes in every window that has no part yet.

        Parameters
        ----------
        give_up
            Stop as soon as the windows done foretell a graph that the memory does not hold.

        Returns
        -------
        bool
            Whether all windows are done.
        """
        arenas, margins = Arenas(), Margins(self.task.plan.margin)
        name = f"first {self.task.plan.passes} passes"
        with self.progress.task(name, len(self.cores)) as bar:

            def work(index: int, core: Window) -> Size:
                part = self._part(index)
                size = _size_of(part) if part.exists() else self._run(core, part, arenas, margins)
                bar.advance()
                return size

            done = 0
            step = 4 * self.workers.threads  # a refusal should not wait for all windows
            for first in range(0, len(self.cores), step):
                group = range(first, min(first + step, len(self.cores)))
                self.sizes += self.workers.map(work, group, [self.cores[k] for k in group])
                done = group.stop
                if give_up and self._foretold(done) > self.budget:
                    log.info("%s: too many objects are left after %s; making more", self.source.path, name)
                    return False
                self._require_memory(done)
        if not sum(size.nodes for size in self.sizes):
            message = f"{self.source.path}: no pixel is valid; check its nodata value"
            raise InputError(message)
        return True

    def _run(self, core: Window, part: Path, arenas: Arenas, margins: Margins) -> Size:
        out = np.empty(core.shape, np.int32)
        plan = self.task.plan

        def read(window: Window) -> Pixels:
            each = window_bytes(self.task.criterion.steps)
            need = each * window.rows * window.cols * self.workers.threads
            first = each * (plan.core[0] + 2 * plan.margin) * (plan.core[1] + 2 * plan.margin)
            if need > max(self.budget, first * self.workers.threads):
                message = (
                    f"{self.source.path}: objects grow so large near row {core.row}, column {core.col} that a window "
                    f"takes {need / GIB:.2f} GiB; the limit is {self.budget / GIB:.2f} GiB: raise it (--memory)"
                )
                raise ResourceError(message)
            return Pixels(self.source.read(window))

        made = run_window(read, self.task, core, out, (0, 0), arenas, margins)
        self.reruns += made.attempts - 1
        _save(part, made, out)
        return Size.of(made)

    def _foretold(self, done: int) -> float:
        """Bytes that the graph of the whole takes, if the other windows are like those done."""
        nodes = sum(size.nodes for size in self.sizes)
        return nodes * node_bytes(len(self.source.layers)) * len(self.cores) / done

    def _require_memory(self, done: int) -> None:
        nodes = sum(size.nodes for size in self.sizes)
        if nodes * node_bytes(len(self.source.layers)) > self.budget:
            message = (
                f"{self.source.path}: {nodes:,} objects are left after the first passes in {done} of "
                f"{len(self.cores)} windows; merging them needs about {self._foretold(done) / GIB:.2f} GiB and the "
                f"limit is {self.budget / GIB:.2f} GiB: raise it (--memory), or segment a part"
            )
            raise ResourceError(message)

    def _part(self, index: int) -> Path:
        return self.folder / f"window-{index:06d}.npz"

    def merge(self) -> tuple[NDArray[np.int32], Cells, NDArray[np.int32], int, int]:
        """Run the remaining passes; return the label of each node, where nodes lie, their pixels, passes, objects."""
        scale, small = self.options.scales[0], self.options.min_size
        with self.progress.task("merging", None) as bar:
            merger = join(self._graphs(), self.sizes, self.task, self.workers)
            forest = np.arange(merger.graph.pixel.size, dtype=np.int32)
            merger.graph.words(SLOT)[:] = forest
            merger.graph = merger.graph._replace(forest=forest)
            pixel = merger.graph.pixel.copy()
            merger.run(scale * scale)
            bar.advance(note=f"{merger.alive:,} objects")
            if small > 1:
                merger.restart(np.inf, float(small))
                merger.run(np.inf)
        labels = _label_nodes(forest, pixel)
        cells = Cells.of(pixel, self.sizes, self.task)
        return labels, cells, pixel, self.task.plan.passes + merger.passes, int(labels.max())

    def _graphs(self) -> Iterator[Graph]:
        for index in range(len(self.cores)):
            yield _load_graph(self._part(index))

    def write(self, dst: Path, labels: NDArray[np.int32], cells: Cells, pixel: NDArray[np.int32]) -> None:
        """Write the labels, window by window."""
        spec = RasterSpec(self.source.grid, "int32", ("object",), nodata=0, average=False)
        with self.progress.task("writing labels", len(self.cores)) as bar, cog_writer(dst, spec) as dataset:
            for index, core in enumerate(self.cores):
                with np.load(self._part(index)) as content:
                    roots = content["roots"]
                label_roots(roots, labels, pixel, *cells.key)
                write_block(dataset, roots[np.newaxis], core)
                bar.advance()


def _label_nodes(forest: NDArray[np.int32], pixel: NDArray[np.int32]) -> NDArray[np.int32]:
    root = forest
    while True:  # nodes lie window by window, so a survivor may come after its dead
        further = root[root]
        if np.array_equal(further, root):
            break
        root = further
    tops = np.flatnonzero(root == np.arange(root.size))
    label = np.zeros(root.size, np.int32)
    label[tops[np.argsort(pixel[tops], kind="stable")]] = np.arange(1, tops.size + 1)
    return label[root]


_SAVED = ("word", "exact", "side", "pixel")


def _save(path: Path, part: Part, roots: NDArray[np.int32]) -> None:
    arrays = {name: np.asarray(getattr(part.graph, name)) for name in _SAVED}
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, roots=roots, ranges=np.stack(part.ranges), **arrays)  # type: ignore[arg-type]  # names


def _size_of(path: Path) -> Size:
    try:
        with path.open("rb") as handle, np.load(handle) as content:  # numpy leaves a damaged file open
            ranges, nodes = content["ranges"], int(content["pixel"].size)
            return Size.counted(nodes, int(content["word"].size), (ranges[0], ranges[1]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        message = f"{path}: is damaged; remove it and run again with --resume"
        raise OutputError(message) from error


def _load_graph(path: Path) -> Graph:
    with np.load(path) as content:
        arrays = {name: content[name] for name in _SAVED}
    views = {"real": arrays["word"].view(np.float32), "byte": arrays["side"].view(np.uint8)}
    return empty_part(0, 0, 0)._replace(**arrays, **views)
