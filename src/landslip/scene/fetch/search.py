"""Searching a STAC catalogue for scenes and elevation tiles."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin

from landslip.errors import RemoteError
from landslip.files.web import Http

log = logging.getLogger(__name__)

EARTH_SEARCH = "https://earth-search.aws.element84.com/v1"
"""The default catalogue: Sentinel-2 and Copernicus elevation as cloud-optimised GeoTIFFs, without login."""

PAGE = 100
MAX_ITEMS = 2000
"""More than this no area of a landslide event has in a season; the search is cut off with a warning."""


def search_items(
    http: Http,
    catalogue: str,
    collection: str,
    bbox: Sequence[float],
    *,
    period: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return all items of a collection that meet a box and a period, page by page.

    Parameters
    ----------
    http
        Client.
    catalogue
        Address of the STAC API's landing page.
    collection
        Its collection.
    bbox
        West, south, east, north in degrees; west > east across the date line.
    period
        First and last day (ISO, both included).

    Raises
    ------
    RemoteError
        The catalogue cannot be reached, or is no STAC API.
    """
    query: dict[str, Any] = {"collections": [collection], "bbox": list(bbox), "limit": PAGE}
    if period is not None:
        query["datetime"] = f"{period[0]}T00:00:00Z/{period[1]}T23:59:59Z"
    url, send = catalogue.rstrip("/") + "/search", query
    items: list[dict[str, Any]] = []
    seen: set[str] = set()
    while True:
        page = http.json(url, what="a page of a STAC catalogue", send=send or None)
        found = page.get("features")
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            message = (
                f"{url}: not the answer of a STAC search (no features); give the address of a STAC API with --stac"
            )
            raise RemoteError(message)
        fresh = [item for item in found if str(item.get("id")) not in seen]
        items += fresh
        seen.update(str(item.get("id")) for item in fresh)
        following = _next(page, url, send)
        if following is None or not fresh:  # a server that repeats a page must not keep us for ever
            return items
        if len(items) >= MAX_ITEMS:
            log.warning(
                "%s: more than %d items; the rest is not looked at, give a shorter --days", catalogue, MAX_ITEMS
            )
            return items
        url, send = following


def _next(page: dict[str, Any], url: str, sent: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Address and body of the next page; None at the end."""
    for link in page.get("links") or ():
        if not isinstance(link, dict) or link.get("rel") != "next" or not isinstance(link.get("href"), str):
            continue
        address = urljoin(url, link["href"])
        if str(link.get("method", "GET")).upper() != "POST":
            return address, {}
        given = link.get("body")
        body: dict[str, Any] = given if isinstance(given, dict) else {}
        return address, {**sent, **body} if link.get("merge") or not body else body
    return None
