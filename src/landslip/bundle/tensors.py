"""Tensors as safetensors: to bytes, from a file, and their checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from landslip.errors import FormatError, MissingInputError

if TYPE_CHECKING:
    from torch import Tensor


def tensors_as_bytes(state: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Serialise tensors with at most a text by its name in the header."""
    from safetensors.torch import save

    content: bytes = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, metadata)
    return content


def checksum_of_data(content: bytes) -> str:
    """SHA-256 of what follows the header: 8 bytes of its length, little-endian, then as many bytes of JSON."""
    start = 8 + int.from_bytes(content[:8], "little")
    return hashlib.sha256(memoryview(content)[start:]).hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors on the processor.

    Raises
    ------
    MissingInputError
        There is no such file.
    FormatError
        It is no safetensors file, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        message = f"{path}: no such file; the run is incomplete, train it again"
        raise MissingInputError(message)
    with path.open("rb") as handle:
        start = handle.read(4)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        message = f"{path}: a pickle, which could run code, not safetensors; it is not opened, train the run again"
        raise FormatError(message)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        message = f"{path}: not readable as safetensors, cut off or damaged; train the run again"
        raise FormatError(message) from error
