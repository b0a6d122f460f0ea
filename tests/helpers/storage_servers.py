"""Servers for the tests of storage, each in a process of its own: GDAL holds Python's lock while it opens an address.

    python storage_servers.py s3                     an S3 server (moto's)
    python storage_servers.py files FOLDER           a web server with byte ranges
    python storage_servers.py drops EVERY ADDRESS    passes requests on to another server and breaks every so-manieth

Each prints its port. A broken request gets nothing, or half an answer, in turn; ``/drops`` says how many were broken.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import itertools
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from landslip.files import s3


@contextlib.contextmanager
def server(*words: str) -> Iterator[str]:
    """Address of a server that runs while the block does."""
    script = [sys.executable, __file__, *words]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def upload(folder: Path, address: str) -> str:
    """Copy a folder to S3 as it is."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            s3.put(path, f"{address}/{path.relative_to(folder).as_posix()}")
    return address


def download(address: str) -> dict[str, bytes]:
    """Everything below an address."""
    return {
        name: s3.perform(address, lambda fs, n=name: fs.cat_file(f"{address}/{n}")) for name in s3.names_below(address)
    }


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, *, body: bool = True) -> None:
        file = self.root / self.path.partition("?")[0].strip("/")
        content, code, headers = b"", 404, {}
        if file.is_file():
            content, code = file.read_bytes(), 200
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if wanted:
                first, last = int(wanted[1]), min(int(wanted[2] or len(content) - 1), len(content) - 1)
                headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
                content, code = content[first : last + 1], 206
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), "Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        del arguments


class Drops(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: str
    every: int
    count = itertools.count(1)
    dropped = 0
    lock = threading.Lock()

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/drops":
            self.answer(200, [], str(type(self).dropped).encode())
            return
        with self.lock:
            drop = next(self.count) % self.every == 0
            type(self).dropped += drop
            half = drop and type(self).dropped % 2 == 0
        if drop and not half:
            self.cut()
            return
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        found = connection.getresponse()
        self.answer(found.status, found.getheaders(), found.read(), half=half)
        connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815 - names of the standard library

    def answer(self, code: int, headers: list[tuple[str, str]], content: bytes, *, half: bool = False) -> None:
        self.send_response_only(code)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding") or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD" and code != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self.wfile.flush()
            self.cut()

    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *arguments: object) -> None:
        del arguments


def serve(handler: type[http.server.BaseHTTPRequestHandler]) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        print(running.server_address[1], flush=True)
        running.serve_forever()


def main(kind: str, *words: str) -> None:
    if kind == "s3":
        from moto.server import ThreadedMotoServer

        running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        print(running.get_host_and_port()[1], flush=True)
        threading.Event().wait()
    elif kind == "files":
        Files.root = Path(words[0])
        serve(Files)
    else:
        Drops.every, Drops.upstream = int(words[0]), words[1].removeprefix("http://")
        serve(Drops)


if __name__ == "__main__":
    main(*sys.argv[1:])
