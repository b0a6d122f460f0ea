"""Fetching windows of remote files, several at a time, each whole or not at all."""

from __future__ import annotations

import concurrent.futures
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyproj import Transformer
from rasterio.io import DatasetReader

from landslip.errors import RemoteError
from landslip.files.web import Http
from landslip.progress import Progress
from landslip.scene.fetch.cog import RemoteFile, copy_window, with_remote
from landslip.windows import Window

WORKERS = 4
"""Files fetched at a time."""

SNAP_M = 60.0
"""Windows begin and end on whole multiples of this from the granule's corner: bands of 10 and 20 m then agree."""


@dataclass(frozen=True)
class Job:
    """One window of one remote file."""

    url: str
    target: Path
    what: str
    size: int | None
    area: tuple[float, float, float, float]
    """West, south, east, north in degrees."""
    snap: bool


def https_of(address: str) -> str:
    """Return the https address of an object in a public S3 bucket; other addresses as they are."""
    found = re.fullmatch(r"s3://([^/]+)/(.+)", address)
    return f"https://{found[1]}.s3.amazonaws.com/{found[2]}" if found else address


def file_name(text: object) -> str:
    """Return a safe file name for an id of a catalogue."""
    name = re.sub(r"[^\w.-]", "_", str(text)).strip(".")[:80]
    return name or "unnamed"


def run_jobs(http: Http, jobs: list[Job], kept: Path, progress: Progress, label: str) -> None:
    """Fetch what is not here yet, several at a time; the first problem ends it, what is whole stays."""
    waiting = [job for job in jobs if not job.target.is_file()]
    with (
        progress.task(label, len(jobs)) as task,
        concurrent.futures.ThreadPoolExecutor(WORKERS) as pool,
    ):
        task.advance(len(jobs) - len(waiting))
        futures = {pool.submit(_fetch_window, http, job, kept): job for job in waiting}
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                task.advance(note=futures[future].what)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _fetch_window(http: Http, job: Job, kept: Path) -> None:
    remote = RemoteFile(http, job.url, kept, what=job.what, size=job.size)

    def copy(dataset: DatasetReader) -> None:
        window = _window_of(dataset, job)
        if not window.empty:
            copy_window(dataset, window, job.target)

    with_remote(remote, job.url, copy)


def _window_of(dataset: DatasetReader, job: Job) -> Window:
    """Pixels of a raster that hold the job's area, in whole snapping squares for images."""
    if dataset.crs is None or dataset.transform.b or dataset.transform.d:
        message = f"{job.url}: has no CRS, or is rotated ({job.what}); choose another --stac"
        raise RemoteError(message)
    to_raster = Transformer.from_crs(4326, dataset.crs, always_xy=True)
    west, south, east, north = to_raster.transform_bounds(*job.area, densify_pts=21)
    width, height = dataset.transform.a, -dataset.transform.e
    step = (max(1, round(SNAP_M / height)), max(1, round(SNAP_M / width))) if job.snap else (1, 1)
    top = int(np.floor((dataset.transform.f - north) / height / step[0])) * step[0]
    left = int(np.floor((west - dataset.transform.c) / width / step[1])) * step[1]
    bottom = int(np.ceil((dataset.transform.f - south) / height / step[0])) * step[0]
    right = int(np.ceil((east - dataset.transform.c) / width / step[1])) * step[1]
    return Window(top, left, bottom - top, right - left).intersection(Window(0, 0, dataset.height, dataset.width))
