"""Places of files: how one names another."""

from __future__ import annotations

import os
from pathlib import Path


def refer(target: str | os.PathLike[str], folder: str | os.PathLike[str]) -> tuple[str, bool]:
    """Return how a file in ``folder`` names ``target``, and whether that is relative.

    Parameters
    ----------
    target
        File or folder.
    folder
        Folder of the file that names it.
    """
    return Path(os.path.relpath(target, folder)).as_posix(), True
