"""Networks by name. A new one is one entry in :data:`NETWORKS`."""

from __future__ import annotations

import difflib
import inspect
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from landslip.errors import ModelError
from landslip.models.blocks import check_input
from landslip.models.resunet import DECODER, ResUNet34
from landslip.models.unet import UNet
from landslip.models.weights import freeze_encoder as freeze
from landslip.models.weights import load_weights, stem_fits

SMP = "smp:"
"""Prefix of the networks of segmentation-models-pytorch: ``smp:ARCHITECTURE-ENCODER``."""


@dataclass(frozen=True)
class Network:
    """How a network is built: a function of the layers and options, and the name of its encoder, if any."""

    build: Callable[..., nn.Module]
    encoder: str | None = None


def _resunet34(in_channels: int, *, decoder: tuple[int, ...] = DECODER) -> nn.Module:
    return ResUNet34(in_channels, decoder=decoder)


def _attention_resunet34(in_channels: int, *, decoder: tuple[int, ...] = DECODER) -> nn.Module:
    return ResUNet34(in_channels, decoder=decoder, attention=True)


NETWORKS: dict[str, Network] = {
    "unet": Network(UNet),
    "resunet34": Network(_resunet34, "resnet34"),
    "attention-resunet34": Network(_attention_resunet34, "resnet34"),
}


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters of a network: all, and those that training changes."""

    total: int
    trained: int


def model_names() -> tuple[str, ...]:
    """List the networks of our own; those of segmentation-models-pytorch come as ``smp:ARCHITECTURE-ENCODER``."""
    return tuple(NETWORKS)


def has_encoder(name: str) -> bool:
    """Tell whether a network has an encoder that pretrained weights exist for by name.

    Raises
    ------
    ModelError
        There is no network of this name.
    """
    return _find(name).encoder is not None


def parameter_counts(network: nn.Module) -> ParameterCounts:
    """Count the parameters of a network."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return ParameterCounts(sum(n for n, _ in sizes), sum(n for n, trained in sizes if trained))


def build_model(
    name: str,
    in_channels: int,
    *,
    weights: str | os.PathLike[str] | None = None,
    freeze_encoder: bool = False,
    layers: Sequence[str] | None = None,
    prior: float | None = None,
    **options: Any,  # noqa: ANN401 - each network has its own
) -> nn.Module:
    """Build a network that turns ``(n, in_channels, h, w)`` into logits ``(n, 1, h, w)``.

    ``h`` and ``w`` are any multiples of 32. The network is reached only when ``weights`` names some.

    Parameters
    ----------
    name
        One of :func:`model_names`, or ``smp:ARCHITECTURE-ENCODER`` such as ``smp:fpn-resnet34``.
    in_channels
        Number of layers.
    weights
        None or ``"none"``: random. A name such as ``"imagenet"``: downloaded for the encoder;
        ``"sentinel2-csmask"`` comes with an optional package, see :mod:`landslip.models.sentinel2`. A path: a
        safetensors file or one that ``torch.load(weights_only=True)`` reads, of the encoder or the whole
        network; a run folder means its ``model.safetensors``. A first convolution for another number of
        layers is adapted so that an input equal in all layers gives the same response.
    freeze_encoder
        Leave the encoder as it is, except for the parameters and statistics of its normalisation layers
        and, unless there are exactly three layers, its first convolution. Needs weights.
    layers
        Names of the layers, by which a first convolution that knows bands by name is adapted.
    prior
        Probability about which the network's answers begin, between 0 and 1: the bias of its last convolution is set
        to its log odds (Lin et al. 2017, arXiv:1708.02002, section 4.1), unless ``weights`` bring one. None: as it
        is drawn.
    **options
        Of the network: ``width`` of ``unet``, ``decoder`` of the ResNet-34 ones, any of the library's for
        ``smp:``.

    Raises
    ------
    ModelError
        Unknown network or option, weights that do not fit or cannot be had, a frozen encoder without weights.
    """
    network = _find(name)
    wanted = None if weights is None or os.fspath(weights) in ("", "none") else weights
    if freeze_encoder and network.encoder is None:
        message = f"{name} has no pretrained encoder to freeze; leave freeze_encoder out, or choose resunet34"
        raise ModelError(message)
    if freeze_encoder and wanted is None:
        message = 'freeze_encoder needs weights: give weights = "imagenet" or a weights file, or train the encoder'
        raise ModelError(message)
    if in_channels < 1:
        message = f"a network needs at least one layer, not {in_channels}"
        raise ModelError(message)
    model = _build(name, network, in_channels, options)
    model.in_channels = in_channels  # type: ignore[assignment]  # modules take plain attributes too
    model.register_forward_pre_hook(check_input)
    if prior is not None:
        output_bias(model).data.fill_(math.log(prior / (1 - prior)))
    if wanted is not None:
        load_weights(model, wanted, encoder_name=network.encoder, layers=layers)
    if freeze_encoder and wanted is not None:
        freeze(model, stem=stem_fits(wanted, in_channels, layers))
    return model


def output_bias(network: nn.Module) -> Tensor:
    """Find the bias of the last convolution, the one that gives the logits.

    Raises
    ------
    ModelError
        It has none.
    """
    head = getattr(network, "segmentation_head", network)  # elsewhere the library's may have more of one channel
    last = [one for one in head.modules() if isinstance(one, nn.Conv2d) and one.out_channels == 1]
    if not last or last[-1].bias is None:
        message = "this network has no last convolution with a bias to begin with; set prior_bias = false"
        raise ModelError(message)
    return last[-1].bias


def _find(name: str) -> Network:
    if name.startswith(SMP):
        from landslip.models import library

        architecture, encoder = library.split_name(name.removeprefix(SMP))
        return Network(lambda n, **options: library.build(architecture, encoder, n, **options), encoder)
    if name not in NETWORKS:
        near = difflib.get_close_matches(name, NETWORKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(NETWORKS)}, smp:ARCHITECTURE-ENCODER"
        message = f"unknown network {name!r}; {hint}"
        raise ModelError(message)
    return NETWORKS[name]


def _build(name: str, network: Network, in_channels: int, options: dict[str, Any]) -> nn.Module:
    known = [key for key, p in inspect.signature(network.build).parameters.items() if p.kind is p.KEYWORD_ONLY]
    unknown = [] if name.startswith(SMP) else [key for key in options if key not in known]
    if unknown:
        message = f"{name} has no option {unknown[0]!r}; it has {', '.join(known)}"
        raise ModelError(message)
    try:
        return network.build(in_channels, **options)
    except (TypeError, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        if isinstance(error, ModelError):
            raise
        message = f"{name} cannot be built with {options or 'its defaults'}: {error}"
        raise ModelError(message) from error
