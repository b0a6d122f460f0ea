"""A web server for tests, in a process of its own: GDAL holds Python's lock while it opens a URL.

    python file_server.py FOLDER

Serves the folder with byte ranges, and misbehaves on purpose under these paths: ``/html…`` answers 200
with a page, ``/broken…`` 503, ``/busy…`` 502 twice and then JSON, ``/whole/…`` ignores ranges,
``/stops/…`` serves only the first kilobytes of a file. Prints its port.
"""

from __future__ import annotations

import http.server
import re
import sys
from pathlib import Path

STOPS_AT = 40_000


class Handler(http.server.BaseHTTPRequestHandler):
    root: Path
    busy = 0

    def do_HEAD(self) -> None:
        self.respond(body=False)

    def do_GET(self) -> None:
        self.respond(body=True)

    def respond(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/html"):
            self.answer(200, b"<!DOCTYPE html><html>Please log in</html>", body=body)
        elif path.startswith("/broken"):
            self.answer(503, b"no", body=body)
        elif path.startswith("/busy") and type(self).busy < 2:
            type(self).busy += 1
            self.answer(502, b"try again", body=body)
        elif path.startswith("/busy"):
            self.answer(200, b'{"here": true}', body=body)
        else:
            self.file(path, body=body)

    def file(self, path: str, *, body: bool) -> None:
        special, _, rest = path.strip("/").partition("/")
        name = rest if special in ("whole", "stops") else path.strip("/")
        file = self.root / name
        if not file.is_file():
            self.answer(404, b"not here", body=body)
            return
        content = file.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None or special == "whole":
            self.answer(200, content, body=body)  # an item is small and comes whole
            return
        first, last = int(wanted[1]), min(int(wanted[2] or len(content) - 1), len(content) - 1)
        if special == "stops" and last >= STOPS_AT:
            self.answer(500, b"lost", body=body)
            return
        self.answer(206, content[first : last + 1], body=body, range_=f"bytes {first}-{last}/{len(content)}")

    def answer(self, code: int, content: bytes, *, body: bool, range_: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        if range_:
            self.send_header("Content-Range", range_)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        del arguments


if __name__ == "__main__":
    Handler.root = Path(sys.argv[1])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
