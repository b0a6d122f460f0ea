"""Fetching small documents over HTTP, with patience for servers that stumble."""

from __future__ import annotations

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from typing import Any

from landslip._version import __version__
from landslip.errors import RemoteError

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
TRIES = 4
WAIT_S = 0.5
"""Wait before the second try; doubled each time."""

MAX_BYTES = 32 << 20


def fetch_json(url: str, *, what: str) -> dict[str, Any]:
    """Fetch a JSON object.

    Parameters
    ----------
    url
        ``http`` or ``https``.
    what
        What it should be, for messages.

    Raises
    ------
    RemoteError
        The server cannot be reached, refuses, or gives something else.
    """
    content = _fetch(url, what)
    try:
        found = json.loads(content)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        looks = "an HTML page" if content.lstrip()[:15].lower().startswith((b"<!doctype", b"<html")) else "no JSON"
        message = f"{url}: the server gave {looks} instead of {what}; check the address, or log in where that is needed"
        raise RemoteError(message) from error
    if not isinstance(found, dict):
        message = f"{url}: no {what}: a JSON object is expected; check the address"
        raise RemoteError(message)
    return found


def _fetch(url: str, what: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": f"landslip/{__version__}"})
    problem: Exception | None = None
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT_S * 2 ** (attempt - 1))
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                content: bytes = answer.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            if error.code < 500 and error.code != 429:
                message = f"{url}: the server answers {error.code} {error.reason} ({what}); check the address"
                raise RemoteError(message) from error
            problem = error
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = error
        else:
            if len(content) <= MAX_BYTES:
                return content
            message = f"{url}: larger than {MAX_BYTES >> 20} MB, no {what} is; check the address"
            raise RemoteError(message)
        log.info("%s: %s; trying again", url, problem)
    message = f"{url}: cannot be fetched ({what}) after {TRIES} tries: {problem}; check address and network"
    raise RemoteError(message) from problem
