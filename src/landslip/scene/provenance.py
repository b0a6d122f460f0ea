"""Where a scene comes from: names and checksums of its inputs, for ``scene.json``.

Names go without folders, so that the same inputs give the same file wherever they lie; full paths are
kept in ``log.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from landslip.files import sha256
from landslip.progress import Progress
from landslip.scene.image import Image


def files_of(images: Iterable[Image]) -> list[str]:
    """List every local file that the images are read from, without repeats."""
    return list(dict.fromkeys(path for image in images for path in image.files))


def checksums(paths: Sequence[str], progress: Progress) -> list[dict[str, Any]]:
    """Return name and SHA-256 of each local file; a URL has no checksum."""
    entries = []
    with progress.task("checksums", len(paths)) as task:
        for path in paths:
            remote = "://" in path or path.startswith("/vsi")
            entries.append({"file": _name(path), "sha256": None if remote else sha256(path)})
            task.advance()
    return entries


def _name(path: str) -> str:
    return path if "://" in path else Path(path).name
