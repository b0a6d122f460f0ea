"""Pretrained weights: by name (downloaded) or from a file, fitted to the number of layers; frozen encoders."""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from landslip.errors import MissingInputError, ModelError
from landslip.models import sentinel2

log = logging.getLogger(__name__)

_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")
_ENCODER = "encoder."
_NORMALISATION = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)


def load_weights(
    network: nn.Module,
    weights: str | os.PathLike[str],
    *,
    encoder_name: str | None,
    layers: Sequence[str] | None = None,
) -> None:
    """Fill a network with pretrained weights, in place.

    Parameters
    ----------
    network
        Built by the registry.
    weights
        A name, a file, or a run folder; see :func:`landslip.models.build_model`.
    encoder_name
        Name of the network's encoder; None when it has none of its own.
    layers
        Names of the network's layers, where they are known.

    Raises
    ------
    MissingInputError
        No such file.
    ModelError
        The name is unknown, nothing can be downloaded, the file cannot be read, or does not fit.
    """
    path = Path(weights)
    if path.is_dir():
        path = path / "model.safetensors"
    if isinstance(weights, os.PathLike) or path.suffix in _SUFFIXES or path.is_file():
        fill(network, read_weights(path), source=str(path))
    elif weights in sentinel2.FILES:
        tensors = sentinel2.read_encoder(str(weights), encoder_name)
        if layers is not None and set(layers) & set(sentinel2.BANDS):
            stem = _stem_name(network)
            tensors[stem] = sentinel2.stem_by_band(tensors[stem], layers)
        fill(network, tensors, source=str(weights), unused=sentinel2.UNUSED)
    elif encoder_name is None:
        message = f"weights {str(weights)!r}: this network has no named weights; give a weights file, or none"
        raise ModelError(message)
    else:
        tensors = download(encoder_name, str(weights))
        fill(network, {_ENCODER + key: value for key, value in tensors.items()}, source=f"{encoder_name} {weights}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file without ever running code from it.

    Raises
    ------
    MissingInputError, ModelError
        No such file; not readable as safetensors or by ``torch.load(weights_only=True)``.
    """
    if not path.is_file():
        message = f"{path}: no such weights file; check the path, or name weights such as 'imagenet'"
        raise MissingInputError(message)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)  # read or refused all the same
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        message = f"{path}: not a weights file (safetensors, or a plain dict of tensors saved by torch), or damaged"
        raise ModelError(message) from error
    while isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        message = f"{path}: no tensors by name in it; save the network's state_dict"
        raise ModelError(message)
    return tensors


def download(encoder_name: str, weights: str) -> dict[str, Tensor]:
    """Fetch named weights of an encoder for three layers, through segmentation-models-pytorch and timm.

    Raises
    ------
    ModelError
        No such name for this encoder, or the download failed.
    """
    from segmentation_models_pytorch.encoders import encoders, get_encoder

    timm_encoder = encoder_name.startswith("tu-")
    known = [] if timm_encoder else list(encoders[encoder_name]["pretrained_settings"])
    if not timm_encoder and weights not in known:
        known += sentinel2.FILES if encoder_name == sentinel2.ENCODER else ()
        message = f"no weights {weights!r} for {encoder_name}; there are {', '.join(known) or 'none'}, or give a file"
        raise ModelError(message)
    chatter = logging.getLogger("huggingface_hub")
    level = chatter.level
    chatter.setLevel(logging.CRITICAL)  # it reports every retry; ours is the one line at the end
    try:
        donor: nn.Module = get_encoder(encoder_name, in_channels=3, weights=True if timm_encoder else weights)
    except Exception as error:  # each library below raises errors of its own when it cannot reach its server
        message = (
            f"weights {weights!r} of {encoder_name} cannot be downloaded ({type(error).__name__}); "
            'check the connection, give a weights file, or use weights = "none"'
        )
        raise ModelError(message) from error
    finally:
        chatter.setLevel(level)
    return dict(donor.state_dict())


def fill(network: nn.Module, tensors: Mapping[str, Tensor], *, source: str, unused: tuple[str, ...] = ()) -> None:
    """Copy into a network what fits by name and shape; its encoder (or all of it, without one) must be complete.

    The first convolution is adapted to the number of layers; a head for other classes stays as it was, and what
    begins with one of ``unused`` may be missing.

    Raises
    ------
    ModelError
        Something of the encoder is missing or of another shape.
    """
    own = dict(network.state_dict())
    found = _renamed(own, tensors)
    stem = _stem_name(network)
    if stem in found and found[stem].shape[1] != own[stem].shape[1]:
        found[stem] = adapt_stem(found[stem], own[stem].shape[1])
    fitting = {key: value for key, value in found.items() if value.shape == own[key].shape}
    for key in [key for key in fitting if key.endswith(".bias")]:
        weight = key.removesuffix("bias") + "weight"
        if weight in own and weight not in fitting:
            del fitting[key]  # a bias belongs to its weights
    needed = [key for key in own if _is_needed(key, has_encoder=hasattr(network, "encoder"))]
    needed = [key for key in needed if not key.startswith(unused)]
    missing = [key for key in needed if key not in fitting]
    if missing:
        shape = f" in shape {tuple(own[missing[0]].shape)}"
        message = (
            f"{source}: these weights are of another network: {len(missing)} of {len(needed)} tensors do not fit, "
            f"first {missing[0]!r}{shape}; choose the network that they were trained with"
        )
        raise ModelError(message)
    network.load_state_dict(own | fitting)
    log.info("%s: %d of %d tensors taken", source, len(fitting), len(own))


def adapt_stem(weight: Tensor, layers: int) -> Tensor:
    """Fit a first convolution to another number of layers.

    Every layer gets the mean over the old ones times old/new, so that the sum over the layers, and with it
    the response to an input that is the same in all layers, stays what it was.

    Parameters
    ----------
    weight
        ``(out, old, k, k)``.
    layers
        The new number.

    Returns
    -------
    torch.Tensor
        ``(out, layers, k, k)``; ``weight`` itself when the number is the same.
    """
    old = weight.shape[1]
    if old == layers:
        return weight
    return weight.mean(dim=1, keepdim=True).repeat(1, layers, 1, 1) * (old / layers)


def freeze_encoder(network: nn.Module, *, stem: bool) -> None:
    """Fix the encoder's weights, in place.

    Normalisation layers stay trainable and go on updating their statistics; so does the first convolution, unless
    ``stem`` says that it was trained for these very layers.
    """
    encoder = network.get_submodule("encoder")
    encoder.requires_grad_(False)
    for module in encoder.modules():
        if isinstance(module, _NORMALISATION):
            module.requires_grad_(True)
    if not stem:
        network.get_parameter(_stem_name(network)).requires_grad_(True)


def stem_fits(weights: str | os.PathLike[str], in_channels: int, layers: Sequence[str] | None) -> bool:
    """Tell whether the first convolution of these weights was trained for these layers.

    It was for the bands of the Sentinel-2 encoder, which are known by name; else for exactly three layers.
    """
    if weights in sentinel2.FILES and layers is not None:
        return set(layers) <= set(sentinel2.BANDS)
    return in_channels == 3


def _stem_name(network: nn.Module) -> str:
    prefix = _ENCODER if hasattr(network, "encoder") else ""
    within = network.get_submodule(prefix.rstrip("."))
    stem: str = next(name for name, module in within.named_modules() if isinstance(module, nn.Conv2d))
    return f"{prefix}{stem}.weight"


def _is_needed(key: str, *, has_encoder: bool) -> bool:
    if key.endswith("num_batches_tracked"):
        return False
    return key.startswith(_ENCODER) if has_encoder else not key.startswith("head.")


def _renamed(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # files name the same tensor with or without a wrapper's prefix, and encoders alone without "encoder."
    best: dict[str, Tensor] = {}
    for strip in ("", "module.", "model.", "network.", "net."):
        for add in ("", _ENCODER):
            named = {add + key.removeprefix(strip): value for key, value in tensors.items()}
            fitting = {key: value for key, value in named.items() if key in own}
            if len(fitting) > len(best):
                best = fitting
    return best
