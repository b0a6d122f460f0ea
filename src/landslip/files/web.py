"""HTTP with patience: every request is tried again where that may help, and what comes back is checked.

Standard library alone. An answer counts only when it is whole (its length is the announced one) and is
what was asked for: a page that says "log in" with status 200 is an error, not data.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from landslip._version import __version__
from landslip.errors import RemoteError

log = logging.getLogger(__name__)

TRIES, WAIT_S, TIMEOUT_S = 6, 0.5, 60.0
"""Patience with storage: attempts in all, seconds before the second (then doubled), seconds of silence that end one."""

MAX_DOCUMENT = 64 << 20
"""No catalogue answer is larger than this."""

_ABSENT = (404, 410)
_PASSING = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """How often and how long to try.

    Parameters
    ----------
    tries
        Attempts in all.
    wait_s
        Pause before the second attempt; doubled each time, up to ``longest_wait_s``.
    longest_wait_s
        Longest pause, also where the server asks for a longer one.
    timeout_s
        Silence after which an attempt is given up.
    """

    tries: int = 6
    wait_s: float = 1.0
    longest_wait_s: float = 30.0
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    url: str
    status: int
    headers: dict[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header by its name in lower case; empty where absent."""
        return self.headers.get(name, "")


@dataclass(frozen=True)
class Part:
    """Bytes ``start`` up to (not including) ``stop`` of a remote file of ``total`` bytes; ``mark`` changes with it."""

    start: int
    stop: int
    total: int
    mark: str
    content: bytes


@dataclass(frozen=True)
class Http:
    """A client."""

    patience: Patience = Patience()

    def json(self, url: str, *, what: str, send: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fetch a JSON object, by POST where there is something to send.

        Raises
        ------
        RemoteError
            Out of reach, refused, or not a JSON object.
        """
        headers = {"Accept": "application/geo+json, application/json"}
        data = None
        if send is not None:
            data = json.dumps(send).encode()
            headers["Content-Type"] = "application/json"
        answer = self._ask(url, what, headers, data)
        try:
            content = json.loads(answer.body)
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            message = f"{url}: the server gave no JSON where {what} was expected; check the address"
            raise RemoteError(message) from error
        if not isinstance(content, dict):
            message = f"{url}: the server gave no JSON object where {what} was expected; check the address"
            raise RemoteError(message)
        return content

    def part(self, url: str, start: int, stop: int, *, what: str) -> Part:
        """Fetch bytes ``start`` up to ``stop`` (fewer where the file ends); all where the server knows no ranges.

        Raises
        ------
        RemoteError
            Out of reach, refused, or the answer does not fit the question.
        """
        answer = self._ask(url, what, {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}, None)
        mark = answer.header("etag") or answer.header("last-modified")
        if answer.status != 206:  # the whole file
            return Part(0, len(answer.body), len(answer.body), mark, answer.body)
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.header("content-range").strip())
        first, last, total = (int(number) for number in found.groups()) if found else (-1, -1, -1)
        if first != start or last != min(stop, total) - 1 or last - first + 1 != len(answer.body):
            message = (
                f"{url}: bytes {start} to {stop - 1} were asked for, the server gave {len(answer.body)} bytes as "
                f"{answer.header('content-range')!r} ({what}); try again later"
            )
            raise RemoteError(message)
        return Part(first, last + 1, total, mark, answer.body)

    def exists(self, url: str) -> bool:
        """Whether there is something under an address.

        Raises
        ------
        RemoteError
            The server cannot be asked, or refuses.
        """
        try:
            self.part(url, 0, 1, what="file")
        except RemoteError as error:
            if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code in _ABSENT:
                return False
            raise
        return True

    def _ask(self, url: str, what: str, headers: dict[str, str], data: bytes | None) -> Answer:
        if urlsplit(url).scheme not in ("http", "https"):
            message = f"{url}: only http and https addresses are fetched ({what}); give one of these"
            raise RemoteError(message)
        problem: Exception | None = None
        for attempt in range(self.patience.tries):
            if attempt:
                self._pause(attempt, problem)
            try:
                return _checked(self._once(url, headers, data), what)
            except urllib.error.HTTPError as error:
                with contextlib.closing(error):
                    if error.code not in _PASSING:
                        message = (
                            f"{url}: the server answers {error.code} {error.reason} ({what}); {_remedy(error.code)}"
                        )
                        raise RemoteError(message) from error
                problem = error
            except RemoteError:
                raise
            except (OSError, http.client.HTTPException) as error:
                problem = error
            log.info("%s: %s; attempt %d of %d", url, problem, attempt + 1, self.patience.tries)
        host = urlsplit(url).netloc
        message = (
            f"{url}: cannot be fetched ({what}) after {self.patience.tries} attempts: {_said(problem)}; "
            f"check the network and whether {host} is up, then run the same command again: what is here is kept"
        )
        raise RemoteError(message) from problem

    def _once(self, url: str, headers: dict[str, str], data: bytes | None) -> Answer:
        request = urllib.request.Request(url, data, {"User-Agent": f"landslip/{__version__}", **headers})
        with urllib.request.urlopen(request, timeout=self.patience.timeout_s) as answer:
            body: bytes = answer.read() if "Range" in headers else answer.read(MAX_DOCUMENT + 1)
            known = {name.lower(): value for name, value in answer.headers.items()}
            announced = known.get("content-length", "")
            if announced.isdigit() and len(body) < min(int(announced), MAX_DOCUMENT + 1):
                raise http.client.IncompleteRead(body, int(announced) - len(body))
            return Answer(url, answer.status, known, body)

    def _pause(self, attempt: int, problem: Exception | None) -> None:
        wait = self.patience.wait_s * 2 ** (attempt - 1)
        if isinstance(problem, urllib.error.HTTPError):
            asked = problem.headers.get("Retry-After", "") if problem.headers else ""
            wait = max(wait, float(asked)) if asked.isdigit() else wait
        time.sleep(min(wait, self.patience.longest_wait_s))


def _checked(answer: Answer, what: str) -> Answer:
    start = answer.body[:256].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")) or answer.header("content-type").startswith("text/html"):
        message = (
            f"{answer.url}: the server answers with an HTML page where {what} was expected; "
            "check the address, or log in to the network"
        )
        raise RemoteError(message)
    if len(answer.body) > MAX_DOCUMENT and answer.status == 200 and "json" in answer.header("content-type"):
        message = f"{answer.url}: larger than {MAX_DOCUMENT >> 20} MB, {what} never is; check the address"
        raise RemoteError(message)
    return answer


def _remedy(code: int) -> str:
    if code in (401, 403):
        return "it wants a login, or does not allow this; give another address"
    if code in _ABSENT:
        return "there is nothing under this address; check it"
    return "check the address and the options"


def _said(problem: Exception | None) -> str:
    reason = getattr(problem, "reason", problem)
    text = str(reason) or type(problem).__name__
    return text.splitlines()[0]
