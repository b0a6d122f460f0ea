"""Recipes with a name: what is trained, on which layers, with which augmentation and loss, in one word.

A preset is only a shorthand: it is spelled out where it is named, and whatever stands beside it goes before it.
Data, split, length and batch are never part of one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard


@dataclass(frozen=True)
class Preset:
    """A named recipe.

    Parameters
    ----------
    words
        What it is for.
    measured
        Where its choice was measured; nothing while it is a guess.
    settings
        Settings of a training (:class:`landslip.training.TrainConfig`).
    """

    words: str
    measured: str
    settings: Mapping[str, Any]


PRESETS: Final[dict[str, Preset]] = {
    "rgb-best": Preset(
        "three visible layers without pretrained weights, also where each patch was scaled by its own maximum",
        "Taiwan's patches, blocked",
        {
            "model": "unet",
            "layers": ["blue", "green", "red"],
            "augment": "d4",
            "random_scale": 1.25,
            "loss": "bce+dice",
        },
    ),
    "rgb-sentinel2": Preset(
        "the best that was found on three visible layers; needs landslip[sentinel2], three times the time of the U-Net",
        "Taiwan's patches, blocked",
        {
            "model": "smp:unet-efficientnet-b4",
            "weights": "sentinel2-csmask",
            "layers": ["blue", "green", "red"],
            "augment": "d4",
            "random_scale": 1.25,
            "loss": "bce+dice",
        },
    ),
    "rgb-elsewhere": Preset(
        "one model on three visible layers for areas where nothing is labelled",
        "a model from elsewhere",
        {
            "model": "unet",
            "layers": ["blue", "green", "red"],
            "augment": "d4",
            "random_scale": 1.25,
            "match_images": True,
            "loss": "bce+dice",
        },
    ),
}


def spelled_out(content: Any) -> Any:  # noqa: ANN401 - what a settings class was given
    """Put the settings of a named preset below those that are given.

    Parameters
    ----------
    content
        Settings of a training as they were given; returned as they are without ``preset``.

    Raises
    ------
    ValueError
        There is no such preset.
    """
    if not isinstance(content, dict) or not is_named(content.get("preset")):
        return content
    return {**preset(content["preset"]).settings, **content}


def is_named(word: object) -> TypeGuard[str]:
    """Whether a preset is named; what is no word at all is left to the checks of the settings."""
    return isinstance(word, str) and bool(word)


def preset(name: str) -> Preset:
    """Look a preset up.

    Raises
    ------
    ValueError
        There is none of this name; the message names the nearest, or all.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(PRESETS)}"
        message = f"unknown preset {name!r}; {hint}"
        raise ValueError(message)
    return PRESETS[name]
