"""Lists of scenes as they are given to a command: folders, patterns, text files, STAC item collections."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from landslip.errors import FormatError, InputError, MissingInputError, OutputError
from landslip.files import require_file
from landslip.files.places import joined, read_bytes, shown
from landslip.scene.store import SCENE_JSON

_COLLECTIONS = (".json", ".geojson")


@dataclass(frozen=True)
class Listing:
    """Scenes, and whether they were given as a list.

    Parameters
    ----------
    paths
        Scene folders (or rasters), in the order in which they were given. They need not be there.
    several
        Whether each gets a folder of its name in the output: several were given, or a list of any length.
    """

    paths: tuple[Path, ...]
    several: bool

    def named(self, out: Path, what: str) -> dict[str, Path]:
        """Return name -> scene, in their order.

        Raises
        ------
        OutputError
            Two have the same name; ``what`` says what would go to one place.
        """
        names: dict[str, Path] = {}
        for path in self.paths:
            name = scene_name(path)
            if name in names:
                message = (
                    f"two scenes are called {name!r} ({shown(names[name])}, {shown(path)}), and their {what} would go "
                    f"to one place, {shown(out / name)}; rename one, or take them one by one"
                )
                raise OutputError(message)
            names[name] = path
        return names


def scene_name(path: Path) -> str:
    """Return the name under which results of a scene are kept: that of its folder, or of a raster without suffix."""
    resolved = path.resolve()
    return resolved.stem if resolved.suffix.lower() in (".tif", ".tiff", ".vrt") else resolved.name


def list_scenes(words: Sequence[str]) -> Listing:
    """Turn what was given into scenes.

    Parameters
    ----------
    words
        Each a scene folder or raster, taken as it is; a pattern (``scenes/*``), of which folders that hold a
        scene are taken, in the order of their names; a ``.txt`` file with one path per line (lines that are
        empty or begin with ``#`` are left out); or a STAC item collection (``.json``, ``.geojson``; that of
        ``landslip mosaic`` too), of whose items the asset ``scene``, else the one that ends in ``scene.json``,
        says where the scene is. Paths in a file are relative to it.

    Raises
    ------
    MissingInputError, InputError, FormatError
        A list is not there, empty or damaged; nothing fits a pattern.
    """
    paths: list[Path] = []
    listed = False
    for word in words:
        path = Path(word)
        if path.suffix.lower() == ".txt":
            found = _of_text(path)
        elif path.suffix.lower() in _COLLECTIONS:
            found = _of_collection(path)
        elif glob.has_magic(word) and not path.exists():
            found = _of_pattern(word)
        else:
            paths.append(path)
            continue
        listed = True
        paths += found
    return Listing(tuple(paths), listed or len(paths) > 1)


def _of_pattern(pattern: str) -> list[Path]:
    path = Path(pattern)
    found = sorted(
        path for path in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if (path / SCENE_JSON).is_file()
    )
    if not found:
        message = f"{pattern}: no folder with a finished scene fits this pattern; check it"
        raise MissingInputError(message)
    return found


def _of_text(path: Path) -> list[Path]:
    require_file(path, what="list of scenes")
    try:
        lines = [line.strip() for line in read_bytes(path, what="list of scenes").decode("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        message = f"{shown(path)}: not a text file (UTF-8); give one path of a scene per line"
        raise FormatError(message) from error
    found = [Path(joined(path, line)) for line in lines if line and not line.startswith("#")]
    if not found:
        message = f"{shown(path)}: no scene in the list; give one path per line"
        raise InputError(message)
    return found


def _of_collection(path: Path) -> list[Path]:
    require_file(path, what="item collection")
    try:
        content = json.loads(read_bytes(path, what="item collection").decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        message = f"{shown(path)}: not valid JSON ({error}); give a STAC item collection"
        raise FormatError(message) from error
    items = content.get("features") if isinstance(content, dict) else None
    if not isinstance(items, list):
        message = f"{shown(path)}: not a STAC item collection (no list 'features' in it)"
        raise FormatError(message)
    if not items:
        message = f"{shown(path)}: the item collection is empty; give one with scenes"
        raise InputError(message)
    # a mosaic of two maps of one scene names it twice
    return list(dict.fromkeys(_of_item(item, path) for item in items))


def _of_item(item: Any, where: Path) -> Path:  # noqa: ANN401 - any JSON value
    assets = item.get("assets") if isinstance(item, dict) else None
    hrefs = {
        name: asset["href"]
        for name, asset in (assets.items() if isinstance(assets, dict) else ())
        if isinstance(asset, dict) and isinstance(asset.get("href"), str)
    }
    ending = (href for href in hrefs.values() if href.endswith(f"/{SCENE_JSON}"))
    href: str | None = hrefs.get("scene") or next(ending, None)
    if href is None:
        name = item.get("id", "?") if isinstance(item, dict) else "?"
        message = f"{shown(where)}: item {name!r} names no scene; give it an asset 'scene' whose href is the folder"
        raise InputError(message)
    href = unquote(href).removeprefix("file://").removesuffix(SCENE_JSON).rstrip("/")
    return Path(joined(where, str(href)))
