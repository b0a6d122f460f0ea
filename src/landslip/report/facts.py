"""Data, split and settings of a study as words: shown as they stand in ``study.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from landslip.report.model import Study
from landslip.report.tables import Cell, Table
from landslip.report.words import capital, number, percent, thousands


def data_facts(study: Study) -> list[tuple[str, str]]:
    """Return what the data are: prevalence, dates, layers, ground size of a pixel."""
    data = study.info.get("data") or {}
    kinds = {"scene": "scene", "patches": "ready-made patches", "tiles": "prepared tiles"}
    found = [("Kind", kinds.get(study.kind, study.kind) + (", simulated" if study.simulated else ""))]
    if data.get("prevalence") is not None:
        found.append(("Prevalence", f"{percent(data['prevalence'], 2)} of the labelled pixels are landslide"))
    if data.get("pixel_m"):
        found.append(("Pixel", f"{data['pixel_m']:g} m"))
    if data.get("layers"):
        found.append(("Layers", ", ".join(data["layers"])))
    found += [(_name(name), plain(value)) for name, value in _items(data.get("dates"))]
    shown = {"prevalence", "pixel_m", "layers", "dates", "sources", "hygiene", "regions"}
    found += [
        (_name(name), plain(value)) for name, value in data.items() if name not in shown and value not in (None, {}, [])
    ]
    return found


def hygiene(study: Study) -> list[tuple[str, str]]:
    """Return the hygiene report of the inventory, in order."""
    report = (study.info.get("data") or {}).get("hygiene")
    return [(_name(name), plain(value)) for name, value in _items(report)]


def sources_table(study: Study) -> Table | None:
    """Return where the data come from, one line per source."""
    sources = (study.info.get("data") or {}).get("sources") or []
    records = [source if isinstance(source, dict) else {"source": source} for source in sources]
    names = list(
        dict.fromkeys(name for record in records for name, value in record.items() if value not in (None, "", [], {}))
    )
    if not names:
        return None
    rows = tuple(tuple(_cell(name, record.get(name)) for name in names) for record in records)
    caption = "Every input, as it was read."
    return Table("table-sources", caption, tuple(_name(name) for name in names), rows, tuple(range(len(names))))


def _cell(name: str, value: Any) -> Cell:  # noqa: ANN401 - a JSON value
    text = "–" if value in (None, "", [], {}) else plain(value)
    if name in {"sha256", "checksum"} and len(text) > 16:
        text = f"{text[:16]}…"
    return Cell(text, text.casefold())


def split_words(study: Study) -> list[str]:
    """Return the design of the split and the verdict of the guard in words."""
    split = study.info.get("split") or {}
    found = [str(split["in_words"])] if split.get("in_words") else []
    guard = study.info.get("guard") or []
    found += [str(g["text"]) for g in guard if g.get("text") and g.get("verdict") == "ok"]
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


def _items(value: Any) -> Iterable[tuple[str, Any]]:  # noqa: ANN401 - a JSON value
    if isinstance(value, dict):
        return value.items()
    return [("note", value)] if value not in (None, "", []) else []


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
