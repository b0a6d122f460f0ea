"""Runs the networks of one or several runs, with their test-time variants, on batches of windows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from landslip.data.augment import (
    VARIANTS,
    Directional,
    inverse,
    turn,
)
from landslip.data.augment import augment as turn_image
from landslip.errors import ModelError
from landslip.mapping.config import PredictConfig
from landslip.mapping.probability import kernels
from landslip.recipe import Recipe
from landslip.training.device import autocast, resolve_device, resolve_precision

_IN_CACHE = 8
"""Windows that a processor takes at once: what lies between the layers of more is too large for its caches."""


@dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    Parameters
    ----------
    name
        For provenance and messages: the run's folder.
    network
        Logits ``(n, 1, h, w)`` from ``(n, layers, h, w)``.
    recipe
        The layers it eats.
    threshold
        Probability from which it calls a pixel landslide.
    checksum
        Of its weights and recipe; what tells whether an interrupted map may be resumed with it.
    licence
        Of its training data.
    architecture
        Name of the network in the registry; empty where it is none of ours.
    location
        Folder or URL that it was loaded from; for the log.
    """

    name: str
    network: nn.Module
    recipe: Recipe
    threshold: float = 0.5
    checksum: str = ""
    licence: str = ""
    architecture: str = ""
    location: str = ""


def choose_device(name: str) -> torch.device:
    """Choose the device: ``auto`` takes CUDA, else MPS, else the CPU.

    Raises
    ------
    ConfigError
        The device is unknown, or not there.
    """
    if name == "auto" and not torch.cuda.is_available() and torch.backends.mps.is_available():
        return torch.device("mps")
    return resolve_device(name)


def computes_with(config: PredictConfig) -> tuple[str, str]:
    """Return the kind of device and the precision that the settings come to in this process.

    Raises
    ------
    ConfigError
        The device or precision is unknown, or not there.
    """
    device = choose_device(config.device)
    return device.type, resolve_precision(config.precision, device)


class Forward:
    """Probabilities of all members and variants for batches of windows.

    Parameters
    ----------
    members
        The ensemble. Their recipes' layers lie one after another in the input, as ``places`` says.
    places
        For each member, its layers' first and last (excluded) position in the input.
    config
        Device, precision, variants.
    computing
        Kind of device and precision of the workers, where these predict and this process does not; None: here.

    Raises
    ------
    LayerError
        Variants are asked for, and a layer cannot be flipped or turned.
    """

    def __init__(
        self,
        members: Sequence[Member],
        places: Sequence[slice],
        config: PredictConfig,
        computing: tuple[str, str] | None = None,
    ) -> None:
        kind, self.precision = computing or computes_with(config)
        self.device = torch.device(kind) if computing else choose_device(config.device)
        self.elements = VARIANTS[config.variants]
        turned = len(self.elements) > 1
        self._members = [
            (member, place, Directional.of(member.recipe.layers, "variants") if turned else Directional())
            for member, place in zip(members, places, strict=True)
        ]

    @property
    def predictions(self) -> int:
        """Number of predictions per window."""
        return len(self._members) * len(self.elements)

    @cached_property
    def _runs(self) -> list[_Run]:
        # Made when the first batch comes: a process that leaves predicting to others needs no device.
        return [
            _Run(member, place, directional, self.device, self.precision)
            for member, place, directional in self._members
        ]

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(predictions, n, tile, tile)`` probabilities of a batch ``(n, layers, tile, tile)``.

        Layers are in physical units, NaN = invalid.

        Raises
        ------
        ModelError
            A network gave something that is not a number.
        """
        raw = torch.from_numpy(batch).to(self.device)
        results = []
        with torch.inference_mode(), autocast(self.device, self.precision):
            for run in self._runs:
                for element in self.elements:
                    image, _ = turn_image(raw[:, run.place], raw[:, 0], element, run.directional)
                    probability = torch.sigmoid(self._logits(run, run.standardise(image)).float())
                    results.append(turn(probability[:, 0], inverse(element)))
        found: NDArray[np.float32] = torch.stack(results).cpu().numpy()
        if not np.isfinite(found).all():
            message = f"{self._runs[0].name}: the network gives values that are not numbers; its weights are damaged"
            raise ModelError(message)
        return found

    def _logits(self, run: _Run, image: Tensor) -> Tensor:
        if self.device.type != "cpu" or len(image) <= _IN_CACHE:
            logits: Tensor = run.network(image)
            return logits
        return torch.cat([run.network(image[k : k + _IN_CACHE]) for k in range(0, len(image), _IN_CACHE)])


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Copy a network for evaluation, with normalisations folded into the convolutions before them.

    The same function up to rounding, some 5 to 10 % faster. Only pairs that follow each other in a
    ``Sequential`` are folded: elsewhere the order of modules says nothing about the order of work.
    """
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for (name, one), (following, other) in pairwise(list(module.named_children())):
            if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(one, other))
                setattr(module, following, nn.Identity())
    return folded


def cast_weights(network: nn.Module) -> None:
    """Cast the weights that autocast would cast in every forward pass, once: the same bits, a few per cent faster."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.to(torch.bfloat16)


class _Run:
    """A member made ready on a device."""

    def __init__(
        self, member: Member, place: slice, directional: Directional, device: torch.device, precision: str
    ) -> None:
        self.name, self.place, self.directional = member.name, place, directional
        folded = fold_batch_norm(member.network)
        if precision == "bf16":
            cast_weights(folded)
        self.network = folded.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks memory_format
        self._host = np.array(member.recipe.mean, np.float32), np.array(member.recipe.std, np.float32)
        self._mean, self._std = (torch.from_numpy(one)[:, None, None].to(device) for one in self._host)

    def standardise(self, image: Tensor) -> Tensor:
        """As in training: minus mean, over standard deviation, 0 where invalid; channels last."""
        if image.device.type == "cpu":
            count, layers, rows, cols = image.shape
            out = np.empty((count, rows, cols, layers), np.float32)
            kernels.standardise(image.contiguous().numpy(), *self._host, out)
            return torch.from_numpy(out).permute(0, 3, 1, 2)
        scaled = (image - self._mean).div_(self._std)
        torch.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0, out=scaled)
        return scaled.contiguous(memory_format=torch.channels_last)
