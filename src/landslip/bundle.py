"""A trained run: the network's weights with everything that is needed to use them.

``model.safetensors`` holds the tensors, ``model.json`` (written last) the rest. For handing on, both fit into
one file: safetensors whose header carries the text of ``model.json``. Nothing in either can make a reader run
code.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from landslip import storage
from landslip._version import __version__
from landslip.errors import ConfigError, FormatError, MissingInputError, ModelError
from landslip.files import FORMAT, atomic_path, check_format, read_complete, sha256, write_json
from landslip.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
MODEL = "model.json"
SUFFIX = ".safetensors"
"""Of a run in one file."""

_ENTRY = "landslip"
"""Where the header of a run in one file holds the text of ``model.json``."""


@dataclass(frozen=True)
class Bundle:
    """What a run folder says, in memory.

    Parameters
    ----------
    architecture
        ``name``, ``in_channels``, ``options`` to build the network with, and for the record ``weights``,
        ``freeze_encoder``, ``parameters`` and ``trained_parameters``.
    recipe
        The layers it eats, with their statistics.
    threshold
        Probability from which on a pixel is landslide, chosen on validation.
    state
        Tensors of the network by name.
    scores
        By part (``train``, ``validation``, ``test``).
    licence
        Of the training data.
    training
        How it was trained: best epoch, updates, precision, device, settings; ``grounds``: name of each
        scene (with its grid) or patch set (with its regions) that it was trained, chosen or tested on.
    """

    architecture: dict[str, Any]
    recipe: Recipe
    threshold: float
    state: Mapping[str, Tensor]
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    training: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``model.safetensors``, then ``model.json``, each atomically.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        content = _tensors_as_bytes(self.state)
        with atomic_path(Path(folder) / WEIGHTS) as temporary:
            temporary.write_bytes(content)
        write_json(Path(folder) / MODEL, self.description(hashlib.sha256(content).hexdigest()))

    def save_file(self, path: str | os.PathLike[str]) -> None:
        """Write the run into one file, which :meth:`load` reads as it reads the folder.

        Any reader of safetensors finds the tensors in it, and under ``landslip`` of its metadata the text of
        ``model.json``.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        checksum = _checksum_of_data(_tensors_as_bytes(self.state))
        text = json.dumps(self.description(checksum), ensure_ascii=False, allow_nan=False)
        # one entry alone: the library writes several in an order that changes from time to time
        content = _tensors_as_bytes(self.state, {_ENTRY: text})
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)

    def description(self, checksum: str) -> dict[str, Any]:
        """All but the tensors, as ``model.json`` has it.

        Parameters
        ----------
        checksum
            SHA-256 of ``model.safetensors`` in a run folder; in one file, of its bytes after the header, as a
            checksum of the whole cannot stand in it.
        """
        return {
            "format": FORMAT,
            "version": __version__,
            "architecture": self.architecture,
            "recipe": self.recipe.to_dict(),
            "threshold": self.threshold,
            "licence": self.licence,
            "scores": self.scores,
            "training": self.training,
            "weights_sha256": checksum,
        }

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a run, its folder or its one file, and check that its parts belong together.

        Raises
        ------
        MissingInputError
            No such folder or file, or an unfinished run.
        FormatError
            Damaged, of a newer format, or put together from different runs.
        """
        path = Path(path)
        if storage.address_of(path):
            return cls._load_remote(path)
        content = read_description(path)
        described, weights = (path, path) if path.is_file() else (path / MODEL, path / WEIGHTS)
        try:
            architecture = dict(content["architecture"])
            recipe = Recipe.from_dict(content["recipe"], where="recipe")
            threshold = float(content["threshold"])
            layers = int(architecture["in_channels"])
            checksum = str(content["weights_sha256"])
            name, options = architecture["name"], architecture["options"]
            scores, training = (dict(content.get(key) or {}) for key in ("scores", "training"))
            for ground in training.get("grounds", ()):
                dict(ground)
        except (KeyError, TypeError, ValueError) as error:
            what = "an entry is of the wrong kind"
            if isinstance(error, ConfigError):
                what = str(error)
            elif isinstance(error, KeyError):
                what = f"entry {error} is missing or wrong"
            message = f"{described}: {what}; the run is damaged, train it again"
            raise FormatError(message) from error
        if not isinstance(name, str) or not isinstance(options, dict) or not 0 < threshold < 1:
            message = f"{described}: architecture or threshold is wrong; the run is damaged, train it again"
            raise FormatError(message)
        if layers != len(recipe.layers):
            message = (
                f"{described}: the network takes {layers} layers, its recipe has {len(recipe.layers)}; "
                "the run is damaged, train it again"
            )
            raise FormatError(message)
        bundle = cls(
            architecture,
            recipe,
            threshold,
            _read_state(weights),
            scores,
            str(content.get("licence") or ""),
            training,
        )
        bundle._check(path, weights, checksum)
        return bundle

    @classmethod
    def _load_remote(cls, path: Path) -> Self:
        one_file = path.suffix == SUFFIX
        if not one_file:
            read_complete(path, MODEL, what="run")
        with tempfile.TemporaryDirectory(prefix="landslip-") as work:
            local = Path(work) / path.name
            with storage.told_as(str(local), storage.shown(path)):
                if one_file:
                    storage.fetch(path, local, what="run")
                else:
                    local.mkdir()
                    for name in (MODEL, WEIGHTS):
                        storage.fetch(path / name, local / name, what="run")
                return cls.load(local)

    def network(self) -> nn.Module:
        """Build the network with its trained weights, in evaluation mode; never downloads anything.

        Raises
        ------
        FormatError
            The weights are of another architecture.
        ModelError
            This version does not know the architecture.
        """
        import torch

        from landslip.models import build_model

        with torch.random.fork_rng(devices=[]):  # first values are drawn in vain; let no one notice
            network = build_model(
                self.architecture["name"], self.architecture["in_channels"], **self.architecture["options"]
            )
        try:
            network.load_state_dict(dict(self.state))
        except RuntimeError as error:
            own = network.state_dict()
            wrong = [k for k in own if k not in self.state or own[k].shape != self.state[k].shape]
            more = [k for k in self.state if k not in own]
            message = (
                f"the weights are of another architecture than {self.architecture['name']} with "
                f"{self.architecture['in_channels']} layers ({len(wrong)} tensors do not fit, {len(more)} are "
                "too many); the run is damaged, train it again"
            )
            raise FormatError(message) from error
        return network.eval()

    def _check(self, path: Path, weights: Path, checksum: str) -> None:
        try:
            self.network()
        except (FormatError, ModelError) as error:
            message = f"{path}: {error}"
            raise FormatError(message) from error
        found = sha256(weights) if path != weights else _checksum_of_data(weights.read_bytes())
        if found != checksum:
            message = f"{weights}: not the weights that {MODEL} describes (checksum differs); train it again"
            raise FormatError(message)


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
            text = (opened.metadata() or {}).get(_ENTRY)
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


def _tensors_as_bytes(state: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    from safetensors.torch import save

    content: bytes = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, metadata)
    return content


def _checksum_of_data(content: bytes) -> str:
    """SHA-256 of what follows the header: 8 bytes of its length, little-endian, then as many bytes of JSON."""
    start = 8 + int.from_bytes(content[:8], "little")
    return hashlib.sha256(memoryview(content)[start:]).hexdigest()


def _read_state(path: Path) -> dict[str, Tensor]:
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
