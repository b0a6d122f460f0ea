"""A trained run: the network's weights with everything that is needed to use them.

``model.safetensors`` holds the tensors, ``model.json`` (written last) the rest. Nothing in a run folder
can make a reader run code.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from landslip import storage
from landslip._version import __version__
from landslip.errors import ConfigError, FormatError, MissingInputError, ModelError
from landslip.files import FORMAT, atomic_path, read_complete, sha256, write_json
from landslip.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "model.safetensors"
MODEL = "model.json"


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
        How it was trained: best epoch, updates, precision, device, settings; ``grounds``: name and grid of each
        scene that it was trained, chosen or tested on.
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
        from safetensors.torch import save

        content = save({name: tensor.detach().cpu().contiguous() for name, tensor in self.state.items()})
        with atomic_path(Path(folder) / WEIGHTS) as temporary:
            temporary.write_bytes(content)
        write_json(
            Path(folder) / MODEL,
            {
                "format": FORMAT,
                "version": __version__,
                "architecture": self.architecture,
                "recipe": self.recipe.to_dict(),
                "threshold": self.threshold,
                "licence": self.licence,
                "scores": self.scores,
                "training": self.training,
                "weights_sha256": hashlib.sha256(content).hexdigest(),
            },
        )

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a run folder and check that its parts belong together.

        Raises
        ------
        MissingInputError
            No such folder, or an unfinished run.
        FormatError
            Damaged, of a newer format, or put together from different runs.
        """
        folder = Path(folder)
        if storage.address_of(folder):
            return cls._load_remote(folder)
        content = read_complete(folder, MODEL, what="run")
        try:
            architecture = dict(content["architecture"])
            recipe = Recipe.from_dict(content["recipe"], where=f"{folder / MODEL}: recipe")
            threshold = float(content["threshold"])
            layers = int(architecture["in_channels"])
            checksum = str(content["weights_sha256"])
            name, options = architecture["name"], architecture["options"]
        except (KeyError, TypeError, ValueError) as error:
            what = str(error) if isinstance(error, ConfigError) else f"entry {error} is missing or wrong"
            message = f"{folder / MODEL}: {what}; the run is damaged, train it again"
            raise FormatError(message) from error
        if not isinstance(name, str) or not isinstance(options, dict) or not 0 < threshold < 1:
            message = f"{folder / MODEL}: architecture or threshold is wrong; the run is damaged, train it again"
            raise FormatError(message)
        if layers != len(recipe.layers):
            message = (
                f"{folder / MODEL}: the network takes {layers} layers, its recipe has {len(recipe.layers)}; "
                "the run is damaged, train it again"
            )
            raise FormatError(message)
        bundle = cls(
            architecture,
            recipe,
            threshold,
            _read_state(folder / WEIGHTS),
            dict(content.get("scores") or {}),
            str(content.get("licence") or ""),
            dict(content.get("training") or {}),
        )
        bundle._check(folder, checksum)
        return bundle

    @classmethod
    def _load_remote(cls, folder: Path) -> Self:
        read_complete(folder, MODEL, what="run")
        with tempfile.TemporaryDirectory(prefix="landslip-") as work:
            local = Path(work) / folder.name
            local.mkdir()
            with storage.told_as(str(local), storage.shown(folder)):
                for name in (MODEL, WEIGHTS):
                    storage.fetch(folder / name, local / name, what="run")
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

    def _check(self, folder: Path, checksum: str) -> None:
        try:
            self.network()
        except (FormatError, ModelError) as error:
            message = f"{folder}: {error}"
            raise FormatError(message) from error
        if sha256(folder / WEIGHTS) != checksum:
            message = f"{folder / WEIGHTS}: not the weights that {MODEL} describes (checksum differs); train it again"
            raise FormatError(message)


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
