"""A run in memory, and how it is written and read."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from landslip._version import __version__
from landslip.bundle.description import ENTRY, MODEL, SUFFIX, read_description
from landslip.bundle.tensors import checksum_of_data, read_tensors, tensors_as_bytes
from landslip.errors import ConfigError, FormatError, ModelError
from landslip.files import FORMAT, atomic_path, places, read_complete, sha256, write_json
from landslip.recipe import Recipe
from landslip.wording import counted

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = "model.safetensors"


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
        content = tensors_as_bytes(self.state)
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
        checksum = checksum_of_data(tensors_as_bytes(self.state))
        text = json.dumps(self.description(checksum), ensure_ascii=False, allow_nan=False)
        # one entry alone: the library writes several in an order that changes from time to time
        content = tensors_as_bytes(self.state, {ENTRY: text})
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
        if places.address_of(path):
            return cls._load_remote(path)
        content = read_description(path)
        described, weights = (path, path) if path.is_file() else (path / MODEL, path / WEIGHTS)
        try:
            bundle = cls._described(content)
            layers, options = int(bundle.architecture["in_channels"]), bundle.architecture["options"]
            name, checksum = bundle.architecture["name"], str(content["weights_sha256"])
        except (KeyError, TypeError, ValueError) as error:
            what = "an entry is of the wrong kind"
            if isinstance(error, ConfigError):
                what = str(error)
            elif isinstance(error, KeyError):
                what = f"entry {error} is missing or wrong"
            message = f"{described}: {what}; the run is damaged, train it again"
            raise FormatError(message) from error
        if not isinstance(name, str) or not isinstance(options, dict) or not 0 < bundle.threshold < 1:
            message = f"{described}: architecture or threshold is wrong; the run is damaged, train it again"
            raise FormatError(message)
        if layers != len(bundle.recipe.layers):
            message = (
                f"{described}: the network takes {counted(layers, 'layer')}, its recipe has "
                f"{len(bundle.recipe.layers)}; the run is damaged, train it again"
            )
            raise FormatError(message)
        bundle = replace(bundle, state=read_tensors(weights))
        bundle._check(path, weights, checksum)
        return bundle

    @classmethod
    def _described(cls, content: dict[str, Any]) -> Self:
        scores, training = (dict(content.get(key) or {}) for key in ("scores", "training"))
        for ground in training.get("grounds", ()):
            dict(ground)
        return cls(
            dict(content["architecture"]),
            Recipe.from_dict(content["recipe"], where="recipe"),
            float(content["threshold"]),
            {},
            scores,
            str(content.get("licence") or ""),
            training,
        )

    @classmethod
    def _load_remote(cls, path: Path) -> Self:
        one_file = path.suffix == SUFFIX
        if not one_file:
            read_complete(path, MODEL, what="run")
        with tempfile.TemporaryDirectory(prefix="landslip-") as work:
            local = Path(work) / path.name
            with places.told_as(str(local), places.shown(path)):
                if one_file:
                    places.fetch(path, local, what="run")
                else:
                    local.mkdir()
                    for name in (MODEL, WEIGHTS):
                        places.fetch(path / name, local / name, what="run")
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
                f"{counted(self.architecture['in_channels'], 'layer')} "
                f"({counted(len(wrong), 'tensor does', 'tensors do')} not fit, {len(more)} too many); the run is "
                "damaged, train it again"
            )
            raise FormatError(message) from error
        return network.eval()

    def _check(self, path: Path, weights: Path, checksum: str) -> None:
        try:
            self.network()
        except (FormatError, ModelError) as error:
            message = f"{path}: {error}"
            raise FormatError(message) from error
        found = sha256(weights) if path != weights else checksum_of_data(weights.read_bytes())
        if found != checksum:
            message = f"{weights}: not the weights that {MODEL} describes (checksum differs); train it again"
            raise FormatError(message)
