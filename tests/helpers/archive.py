"""A STAC API and its files on loopback: real HTTP with range requests, and with faults on demand."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import shapely
import shapely.geometry
from affine import Affine
from pyproj import CRS, Transformer

from landslip.grid import Grid
from landslip.rasters import RasterSpec, write_raster

UTM = CRS.from_epsg(32654)
CORNER = (600_000.0, 4_740_000.0)
TILE = Grid((1200, 1200), Affine(10, 0, CORNER[0], 0, -10, CORNER[1]), UTM)
"""A granule in small."""

EVENT = dt.date(2018, 9, 6)
BANDS = ("blue", "green", "red", "nir")


def area_in_degrees(grid: Grid = TILE, shrink: float = 0.0) -> tuple[float, float, float, float]:
    west, south, east, north = grid.bounds
    box = (west + shrink, south + shrink, east - shrink, north - shrink)
    return Transformer.from_crs(grid.crs, 4326, always_xy=True).transform_bounds(*box)


@dataclass
class Archive:
    """What the server has and how it behaves.

    ``fault`` is asked before each answer with the number of the request and its path; it returns None, an
    HTTP status, or ``"cut"`` (half the body, then the line goes dead), ``"html"``, ``"whole"`` (ranges
    ignored), ``"short"`` (a shorter range than asked for), ``"changed"`` (another ETag).
    """

    folder: Path
    items: list[dict[str, Any]] = field(default_factory=list)
    fault: Callable[[int, str], int | str | None] = lambda number, path: None
    page: int = 100
    get_pages: bool = False
    requests: list[str] = field(default_factory=list)
    sent: int = 0
    address: str = ""

    @property
    def stac(self) -> str:
        return f"{self.address}/v1"

    def add_image(
        self,
        day: dt.date,
        *,
        cloud_said: float,
        cloudy: Any = None,
        seed: int = 0,
        grid: Grid = TILE,
        name: str = "54TWN",
    ) -> dict[str, Any]:
        """Write a granule; ``cloudy`` is a mask (20 m) of what its classification hides."""
        number = f"S2A_{name}_{day:%Y%m%d}_0_L2A"
        rng = np.random.default_rng(seed)
        assets: dict[str, Any] = {}
        for index, band in enumerate(BANDS):
            ramp = np.add.outer(np.arange(grid.rows), np.arange(grid.cols)) % 700
            pixels = (600 + 400 * index + ramp + rng.integers(0, 30, grid.shape)).astype("uint16")
            self._raster(f"{number}/{band}.tif", pixels, grid, band)
            assets[band] = self._asset(f"{number}/{band}.tif") | {"eo:bands": [{"name": band, "common_name": band}]}
            assets[band]["raster:bands"] = [{"nodata": 0, "scale": 0.0001, "offset": 0}]
            assets[band]["gsd"] = 10
        coarse = Grid((grid.rows // 2, grid.cols // 2), grid.transform * Affine.scale(2), grid.crs)
        classes = np.full(coarse.shape, 4, "uint8")
        if cloudy is not None:
            classes[cloudy] = 9
        self._raster(f"{number}/scl.tif", classes, coarse, "scl")
        assets["scl"] = self._asset(f"{number}/scl.tif")
        assets["thumbnail"] = {"href": f"{self.address}/none.jpg", "roles": ["thumbnail"], "type": "image/jpeg"}
        properties = {
            "datetime": f"{day}T01:20:00Z",
            "platform": "sentinel-2a",
            "eo:cloud_cover": cloud_said,
            "s2:processing_baseline": "02.06",
            "s2:product_type": "S2MSI2A",
            "earthsearch:boa_offset_applied": False,
        }
        return self._item(number, "sentinel-2-l2a", grid, properties, assets)

    def add_dem(self, west: float, north: float, *, size: int = 900, cell: float = 1 / 3600) -> dict[str, Any]:
        grid = Grid((size, size), Affine(cell, 0, west, 0, -cell, north), CRS.from_epsg(4326))
        rows, cols = np.indices(grid.shape)
        height = (300 + 0.2 * rows + 80 * np.sin(cols / 40)).astype("float32")
        number = f"Copernicus_DSM_COG_10_{len(self.items)}"
        self._raster(f"dem/{number}.tif", height, grid, "elevation")
        assets = {"data": self._asset(f"dem/{number}.tif")}
        return self._item(number, "cop-dem-glo-30", grid, {"datetime": "2021-04-22T00:00:00Z"}, assets)

    def _raster(self, name: str, pixels: Any, grid: Grid, band: str) -> None:
        nodata = None if pixels.dtype == np.float32 else 0
        spec = RasterSpec(grid, str(pixels.dtype), (band,), nodata=nodata)
        write_raster(self.folder / name, pixels[None], spec)

    def _asset(self, name: str) -> dict[str, Any]:
        size = (self.folder / name).stat().st_size
        kind = "image/tiff; application=geotiff; profile=cloud-optimized"
        return {"href": f"{self.address}/files/{name}", "type": kind, "file:size": size}

    def _item(self, number: str, collection: str, grid: Grid, properties: Any, assets: Any) -> dict[str, Any]:
        footprint = shapely.geometry.mapping(shapely.box(*area_in_degrees(grid)))
        item = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": number,
            "collection": collection,
            "geometry": footprint,
            "bbox": list(area_in_degrees(grid)),
            "properties": properties,
            "assets": assets,
            "links": [{"rel": "self", "href": f"{self.stac}/collections/{collection}/items/{number}"}],
        }
        self.items.append(item)
        return item

    def search(self, query: dict[str, Any]) -> dict[str, Any]:
        box = shapely.box(*query["bbox"])
        first, last = (part[:10] for part in query.get("datetime", "0001-01-01/9999-12-31").split("/"))
        found = [
            item
            for item in self.items
            if item["collection"] in query["collections"]
            and shapely.geometry.shape(item["geometry"]).intersects(box)
            and (first <= item["properties"]["datetime"][:10] <= last)
        ]
        start = int(query.get("token", 0))
        page: dict[str, Any] = {"type": "FeatureCollection", "features": found[start : start + self.page], "links": []}
        if start + self.page < len(found):
            link: dict[str, Any] = {"rel": "next", "href": f"{self.stac}/search"}
            if self.get_pages:
                words = f"token={start + self.page}&bbox={','.join(map(str, query['bbox']))}"
                link["href"] += f"?{words}&collections={query['collections'][0]}&datetime={query.get('datetime', '')}"
            else:
                link |= {"method": "POST", "merge": True, "body": {"token": start + self.page}}
            page["links"].append(link)
        return page


def handler_of(archive: Archive) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            del words

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(lambda: archive.search(body))

        def do_GET(self) -> None:
            path = urlsplit(self.path)
            if path.path == "/v1/search":
                words = {key: value[0] for key, value in parse_qs(path.query).items()}
                query: dict[str, Any] = {**words, "bbox": [float(v) for v in words["bbox"].split(",")]}
                query["collections"] = [words["collections"]]
                self.answer(lambda: archive.search(query))
            else:
                self.file(path.path)

        def answer(self, content: Callable[[], Any]) -> None:
            fault = self.fault()
            if fault is not None:
                return
            self.send(200, json.dumps(content()).encode(), "application/geo+json")

        def file(self, path: str) -> None:
            fault = self.fault()
            if fault is True:
                return
            target = archive.folder / path.removeprefix("/files/")
            if not target.is_file():
                self.send_error(404)
                return
            content = target.read_bytes()
            mark = {"ETag": '"2"' if fault == "changed" else '"1"'}
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if found is None or fault == "whole":
                self.send(200, content, "image/tiff", mark)
                return
            first, last = int(found[1]), min(int(found[2]), len(content) - 1)
            if first >= len(content):
                self.send_error(416)
                return
            part = content[first : last + 1]
            if fault == "short":
                part, last = part[: len(part) // 2], first + len(part) // 2 - 1
            self.send(206, part, "image/tiff", mark | {"Content-Range": f"bytes {first}-{last}/{len(content)}"}, fault)

        def fault(self) -> Any:
            archive.requests.append(f"{self.command} {self.path}")
            fault = archive.fault(len(archive.requests), self.path)
            if fault is None:
                return None
            if isinstance(fault, int):
                self.send_error(fault)
                return True
            if fault == "html":
                self.send(200, b"<!DOCTYPE html><html><body>Please log in</body></html>", "text/html")
                return True
            return fault

        def send(
            self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None, fault: Any = None
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if fault == "cut":
                body = body[: len(body) // 2]
                self.close_connection = True
            archive.sent += len(body)
            self.wfile.write(body)

    return Handler


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Archive]:
    """Serve an archive on a free port of loopback."""
    archive = Archive(folder)
    server = QuietServer(("127.0.0.1", 0), handler_of(archive))
    archive.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
