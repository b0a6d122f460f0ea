"""Data, split and settings of a study as words: shown as they stand in ``study.json``."""

from __future__ import annotations

import json
from typing import Any

from landslip.report.model import Study
from landslip.report.tables import Cell, Table
from landslip.report.words import capital, number, percent, sentence, thousands
from landslip.wording import counted

_DATES = {"post": "Image after the event", "pre": "Image before the event", "event": "Event"}


def _areas(study: Study) -> list[dict[str, Any]]:
    """Return what is known of each scene or patch set, with everything nested inside it."""
    sources = (study.info.get("data") or {}).get("sources") or []
    return [area if isinstance(area, dict) else {"file": area} for area in sources]


def data_facts(study: Study) -> list[tuple[str, str]]:
    """Return what the data are: prevalence, dates, layers, grid, inventory."""
    data = study.info.get("data") or {}
    kinds = {"scene": "scene", "patches": "ready-made patches", "tiles": "prepared tiles"}
    found = [("Kind", kinds.get(study.kind, study.kind) + (", simulated" if study.simulated else ""))]
    if data.get("prevalence") is not None:
        found.append(("Prevalence", f"{percent(data['prevalence'], 2)} of the labelled pixels are landslide"))
    areas = _areas(study)
    several = len(areas) > 1
    for area in areas:
        where = f", {area.get('path', '')}" if several else ""
        found += [(f"{name}{where}", value) for name, value in _area_facts(area, data.get("pixel_m"))]
    if data.get("pixel_m") and not any(area.get("grid") for area in areas):
        found.append(("Pixel", f"{data['pixel_m']:g} m"))
    if isinstance(data.get("dates"), dict):
        found += [(_DATES.get(name, _name(name)), plain(value)) for name, value in data["dates"].items() if value]
    if data.get("layers"):
        found.append(("Layers", ", ".join(data["layers"])))
    shown = {"prevalence", "pixel_m", "layers", "dates", "sources", "hygiene", "regions"}
    found += [(_name(name), plain(value)) for name, value in data.items() if name not in shown and not _empty(value)]
    return found


def _area_facts(area: dict[str, Any], pixel_m: float | None) -> list[tuple[str, str]]:
    found = []
    if grid := area.get("grid"):
        rows, cols = grid["shape"]
        size = f" of {pixel_m:g} m" if pixel_m else ""
        crs = f", EPSG:{grid['epsg']}" if grid.get("epsg") else ""
        found.append(("Grid", f"{cols} × {rows} pixels{size}{crs}"))
    if "patches" in area:
        regions = f", regions {plain(area['regions'])}" if area.get("regions") else ""
        found.append(("Patches", f"{plain(area['patches'])}{regions}"))
    # a date that nobody knows is a fact of the data too
    dates = area.get("dates") or ({"dates": None} if "patches" in area else {})
    for name, value in dates.items():
        unknown = "date not known" if name in _DATES else "not known"
        found.append((_DATES.get(name, _name(name)), unknown if _empty(value) else plain(value)))
    if inventory := area.get("inventory"):
        words = (
            [counted(inventory["polygons"], "polygon", shown=plain(inventory["polygons"]))]
            if "polygons" in inventory
            else []
        )
        if "landslide_pixels" in inventory:
            words.append(f"{plain(inventory['landslide_pixels'])} of {plain(inventory['known_pixels'])} known pixels")
        found.append(("Inventory", ", ".join(words) or plain(inventory.get("file"))))
    return found


def _empty(value: Any) -> bool:  # noqa: ANN401 - a JSON value
    return value in (None, "", [], {}) or (isinstance(value, list) and all(_empty(item) for item in value))


def hygiene(study: Study) -> list[tuple[str, str]]:
    """Return the hygiene report of the inventory, in order; what was looked for in vain in one line."""
    reports: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ((study.info.get("data") or {}).get("hygiene") or {}, {}, "")
    ]
    for area in _areas(study):
        inventory = area.get("inventory") or {}
        reports.append((inventory.get("hygiene") or {}, inventory, str(area.get("path", ""))))
    reports = [(report, inventory, path) for report, inventory, path in reports if report]
    found = []
    for report, inventory, path in reports:
        where = f", {path}" if len(reports) > 1 else ""
        found += [(f"{_name(name)}{where}", plain(value)) for name, value in report.items() if value]
        if absent := [_name(name).lower() for name, value in report.items() if not value]:
            found.append((f"Looked for, none found{where}", ", ".join(absent)))
        found += [(f"{name}{where}", words) for name, words in _held_against_images(inventory)]
    return found


def _held_against_images(inventory: dict[str, Any]) -> list[tuple[str, str]]:
    """Tell what the scene's own pixels said of its inventory: where it lies, and what was bare before the event."""
    found = []
    if offset := inventory.get("offset"):
        words = "cannot be told: the image does not show its outlines"
        if offset.get("reliable"):
            east, north = float(offset["east_m"]), float(offset["north_m"])
            words = (
                f"{abs(east):.1f} m {'west' if east < 0 else 'east'} and {abs(north):.1f} m "
                f"{'south' if north < 0 else 'north'} of what the image shows, left as it is "
                f"(correlation {number(float(offset['correlation']), 2)})"
            )
        found.append(("Offset against the image", words))
    if bare := inventory.get("bare_before"):
        seen = f"{plain(bare['flagged'])} landslides ({bare['index']} below {bare['below']:g} on half of each)"
        if not bare.get("telling"):
            seen = "cannot be told: most of their surroundings were bare too, or not seen"
        elif bare.get("not_seen"):
            seen = f"{seen}; {plain(bare['not_seen'])} not seen before the event"
        found.append(("On ground that was bare before the event", seen))
    return found


def sources_table(study: Study) -> Table | None:
    """Return where the data come from, one line per file."""
    areas = _areas(study)
    records: list[dict[str, Any]] = []
    for area in areas:
        files = area.get("sources")
        if isinstance(files, list) and files:
            records += [({"scene": area.get("path")} if len(areas) > 1 else {}) | file for file in files]
        else:
            records.append({name: value for name, value in area.items() if not isinstance(value, dict | list)})
    names = list(dict.fromkeys(name for record in records for name, value in record.items() if not _empty(value)))
    if not names:
        return None
    rows = tuple(tuple(_cell(name, record.get(name)) for name in names) for record in records)
    full = " Of checksums the beginning; in full in study.json." if "sha256" in names else ""
    caption = f"Every input, as it was read.{full}"
    return Table("table-sources", caption, tuple(_name(name) for name in names), rows, tuple(range(len(names))))


def _cell(name: str, value: Any) -> Cell:  # noqa: ANN401 - a JSON value
    text = "–" if _empty(value) else plain(value)
    if name in {"sha256", "checksum"} and len(text) > 16:
        text = f"{text[:16]}…"
    return Cell(text, text.casefold())


def split_words(study: Study) -> list[str]:
    """Return the design of the split and the verdict of the guard in words."""
    split = study.info.get("split") or {}
    found = [sentence(str(split["in_words"]))] if split.get("in_words") else []
    guard = study.info.get("guard") or []
    found += [sentence(str(g["text"])) for g in guard if g.get("text") and g.get("verdict") == "ok"]
    return list(dict.fromkeys(found))


def settings(study: Study) -> list[tuple[str, str]]:
    """Return the settings in full: the config, the recipe and each row's training."""
    found = []
    if study.config:
        found.append(("Config (config.toml)", study.config.strip()))
    elif study.info.get("settings"):
        found.append(("Config", _json(study.info["settings"])))
    for key, title in (
        ("recipe", "Recipe: layers with their statistics from training pixels"),
        ("recipes", "Recipes of the folds"),
    ):
        if study.info.get(key):
            found.append((title, _json(study.info[key])))
    trained = {row.label: row.facts["train"] for row in study.rows if row.facts.get("train")}
    if trained:
        found.append(("Training settings of each row", _json(trained)))
    split = (study.info.get("split") or {}).get("settings")
    if split:
        found.append(("Split", _json(split)))
    return found


def _json(value: Any) -> str:  # noqa: ANN401 - a JSON value
    return json.dumps(value, indent=2, ensure_ascii=False)


def _name(name: str) -> str:
    known = {"sha256": "SHA-256", "crs": "CRS", "aoi": "AOI"}
    if name in known:
        return known[name]
    units = {"_m2": " (m²)", "_km2": " (km²)", "_px": " (pixels)", "_m": " (m)", "_deg": " (degrees)"}
    for suffix, unit in units.items():
        if name.endswith(suffix):
            name = name.removesuffix(suffix) + unit
            break
    return capital(name.replace("_", " "))


def plain(value: Any) -> str:  # noqa: ANN401 - a JSON value
    """Return a JSON value as words, without brackets where it can be."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return thousands(value) if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return number(value, 4).rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{_name(k).lower()} {plain(v)}" for k, v in value.items()) or "none"
    return str(value)
