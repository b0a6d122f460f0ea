"""What a run says of itself: ``model.json``, or the header of a run in one file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from landslip.errors import FormatError
from landslip.files import check_format, read_complete

MODEL = "model.json"

SUFFIX = ".safetensors"
"""Of a run in one file."""

ENTRY = "landslip"
"""Where the header of a run in one file holds the text of ``model.json``."""


def run_name(path: str | os.PathLike[str]) -> str:
    """Return what a run is called: its folder's name, with the row before it for a run of a study (``unet/seed0``).

    Parameters
    ----------
    path
        Absolute path or address of the run's folder or file.
    """
    place = Path(path)
    return "/".join(place.parts[-2:]) if place.parent.parent.name == "runs" else place.name


def read_description(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what a run says of itself, from its folder or its one file, without its tensors.

    Raises
    ------
    MissingInputError
        No such folder or file, or an unfinished run.
    FormatError
        Damaged, no run at all, or of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        return read_complete(path, MODEL, what="run")
    from safetensors import SafetensorError, safe_open

    remedy = f"give the folder of a run, or the {SUFFIX} file that 'landslip export' wrote of it"
    try:
        with safe_open(path, framework="np") as opened:
            text = (opened.metadata() or {}).get(ENTRY)
    except (SafetensorError, OSError, ValueError) as error:
        message = f"{path}: not a run in one file, or cut off or damaged; {remedy}"
        raise FormatError(message) from error
    if text is None:
        message = f"{path}: tensors alone, without the recipe and threshold of a run; {remedy}"
        raise FormatError(message)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{path}: its description is not valid JSON ({error}); the run is damaged, export it again"
        raise FormatError(message) from error
    if not isinstance(content, dict):
        message = f"{path}: its description is not a JSON object; the run is damaged, export it again"
        raise FormatError(message)
    check_format(content, path)
    return content
