"""One segmentation on disk, step by step, with what its windows leave in a folder beside the output."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import ConfigError, InputError, ResourceError
from landslip.files import read_json, write_json
from landslip.objects.disk.parts import Size, load_graph, load_roots, save, size_of
from landslip.objects.disk.planning import GIB, node_bytes
from landslip.objects.disk.sources import Source
from landslip.objects.kernels.handover import label_roots
from landslip.objects.kernels.layout import SLOT
from landslip.objects.options import Options
from landslip.objects.windows.joining import Cells, Whole
from landslip.objects.windows.merging import Workers
from landslip.objects.windows.plans import Pixels, Task
from landslip.objects.windows.tiling import Arenas, Margins, arena_bytes, run_window, window_bytes
from landslip.progress import Progress
from landslip.rasters import RasterSpec, cog_writer, write_block
from landslip.windows import Window

log = logging.getLogger(__name__)


def first_passes(runs: list[Run], *, resume: bool) -> Run:
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


class Run:
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
            "plan": [*self.task.plan.core, self.task.plan.passes, self.task.plan.waits],
        }
        return {"format": 4, "digest": hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest(), **plain}

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
        arenas, margins = Arenas(), Margins(self.task.plan.around)
        name = f"first {self.task.plan.passes} passes"
        with self.progress.task(name, len(self.cores)) as bar:

            def work(index: int, core: Window) -> Size:
                part = self._part(index)
                size = size_of(part) if part.exists() else self._run(core, part, arenas, margins)
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

        def read(window: Window) -> Pixels:
            need = window_bytes(self.task.criterion.steps) * window.rows * window.cols * self.workers.threads
            if need > max(self.budget, arena_bytes(self.task, self.task.plan.around) * self.workers.threads):
                message = (
                    f"{self.source.path}: objects grow so large near row {core.row}, column {core.col} that a window "
                    f"takes {need / GIB:.2f} GiB; the limit is {self.budget / GIB:.2f} GiB: raise it (--memory)"
                )
                raise ResourceError(message)
            return Pixels(self.source.read(window))

        made = run_window(read, self.task, core, out, (0, 0), arenas, margins)
        self.reruns += made.attempts - 1
        save(part, made, out)
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
            nodes, blocks = (sum(counts) for counts in zip(*((s.nodes, s.blocks) for s in self.sizes), strict=True))
            whole = Whole(self.task, nodes, blocks)
            for index, size in enumerate(self.sizes):
                whole.take(index, load_graph(self._part(index)), size.ranges)
            merger, cells = whole.merger(self.workers)
            forest = np.arange(merger.graph.pixel.size, dtype=np.int32)
            merger.graph.words(SLOT)[:] = forest
            merger.graph = merger.graph._replace(forest=forest)
            pixel = merger.graph.pixel.copy()
            merger.catch_up(self.task.limit, self.task.plan.passes)
            merger.run(scale * scale)
            bar.advance(note=f"{merger.alive:,} objects")
            if small > 1:
                merger.restart(np.inf, float(small))
                merger.run(np.inf)
        labels = _label_nodes(forest, pixel)
        return labels, cells, pixel, self.task.plan.passes + merger.passes, int(labels.max())

    def write(self, dst: Path, labels: NDArray[np.int32], cells: Cells, pixel: NDArray[np.int32]) -> None:
        """Write the labels, window by window."""
        spec = RasterSpec(self.source.grid, "int32", ("object",), nodata=0, average=False)
        with self.progress.task("writing labels", len(self.cores)) as bar, cog_writer(dst, spec) as dataset:
            for index, core in enumerate(self.cores):
                roots = load_roots(self._part(index))
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
