"""Brings runs and a scene together: which layers to read, at which scale, and what decides about the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landslip._version import __version__
from landslip.bundle import Bundle
from landslip.errors import InputError
from landslip.files import sha256
from landslip.files.places import size_of
from landslip.mapping.config import PredictConfig
from landslip.mapping.probability.network import Forward, Member
from landslip.mapping.probability.predict import Prediction
from landslip.mapping.probability.segment import segment_scene
from landslip.mapping.probability.source import SceneSource, check_scene, scene_source
from landslip.progress import SILENT, Progress
from landslip.recipe import Recipe
from landslip.scene.store import BANDS, SCENE_JSON, Scene


@dataclass(frozen=True)
class Prepared:
    """A prediction that is ready to run.

    Parameters
    ----------
    prediction
        Networks, layers, windows.
    members
        The ensemble.
    scene
        The scene.
    """

    prediction: Prediction
    members: tuple[Member, ...]
    scene: Scene

    @property
    def threshold(self) -> float:
        """The members' mean threshold."""
        return float(np.mean([member.threshold for member in self.members]))

    def as_trained(self) -> list[SceneSource]:
        """Return the layers with the statistics of every member: where layers are the same, these may differ."""
        sources = {_kind(source.recipe): source for source in self.prediction.sources}
        recipes = {json.dumps(one.recipe.to_dict(), sort_keys=True): one.recipe for one in self.members}
        return [replace(sources[_kind(recipe)], recipe=recipe) for recipe in recipes.values()]

    def with_objects(self, work: Path, *, progress: Progress = SILENT) -> Prepared:
        """Segment the scene for every recipe that has object layers.

        Parameters
        ----------
        work
            Folder in which label rasters are left, and found again after an interruption.
        progress
            Shows the segmentation.

        Raises
        ------
        ResourceError
            The scene cannot be segmented in the memory allowed.
        """
        memory = self.prediction.config.memory_gib
        sources = [
            source
            if source.recipe.objects is None
            else replace(source, objects=segment_scene(source, work, memory_gib=memory, progress=progress))
            for source in self.prediction.sources
        ]
        return replace(self, prediction=replace(self.prediction, sources=sources))

    def identity(self) -> dict[str, Any]:
        """All that decides about the probabilities, as JSON types; the same for the same result."""
        config = self.prediction.config
        return {
            "version": __version__,
            "scene": scene_identity(self.scene),
            "models": [member.checksum for member in self.members],
            "tile": config.tile,
            "overlap": config.overlap,
            "batch": config.batch,
            "variants": config.variants,
            "uncertainty": config.uncertainty,
            "device": self.prediction.forward.device.type,
            "precision": self.prediction.forward.precision,
            "scale": [source.scale for source in self.prediction.sources],
            "matching": [dict(source.matching.terms) for source in self.prediction.sources],
        }


def scene_identity(scene: Scene) -> dict[str, Any]:
    """Tell a scene from any other: checksum of its ``scene.json``, size of its bands."""
    return {"checksum": sha256(scene.path / SCENE_JSON), "bytes": size_of(scene.path / BANDS)}


def member_of(bundle: Bundle, name: str, location: str = "") -> Member:
    """Make a run ready to be a member of an ensemble.

    Parameters
    ----------
    bundle
        The run.
    name
        What it is called in the map.
    location
        Where it was loaded from, for the log.

    Raises
    ------
    FormatError, ModelError
        The weights do not fit the architecture; the architecture is unknown.
    """
    digest = hashlib.sha256(json.dumps([bundle.architecture, bundle.recipe.to_dict()], sort_keys=True).encode())
    for key in sorted(bundle.state):
        digest.update(key.encode())
        digest.update(bundle.state[key].detach().cpu().contiguous().numpy().tobytes())
    return Member(
        name,
        bundle.network(),
        bundle.recipe,
        bundle.threshold,
        digest.hexdigest(),
        bundle.licence,
        str(bundle.architecture["name"]),
        location,
    )


def prepare(
    members: Sequence[Member],
    scene: Scene,
    config: PredictConfig,
    computing: tuple[str, str] | None = None,
) -> Prepared:
    """Check that every member can be run on the scene, and set up their layers.

    Parameters
    ----------
    members
        One run, or several as an ensemble of equal weights.
    scene
        Where to map.
    config
        Windows, device, precision, variants.
    computing
        Kind of device and precision of the workers that predict; None: this process predicts.

    Raises
    ------
    InputError
        No member; disagreement is asked for with a single prediction.
    LayerError, CRSMismatchError
        The scene has not what a recipe needs.
    ConfigError
        The device or precision is not to be had.
    """
    if not members:
        message = "no run was given; name at least one"
        raise InputError(message)
    recipes: dict[str, Recipe] = {}
    for member in members:
        check_scene(scene, member.recipe)
        recipes.setdefault(_kind(member.recipe), member.recipe)
    places, first = {}, 0
    for kind, recipe in recipes.items():
        places[kind] = slice(first, first + len(recipe.layers))
        first += len(recipe.layers)
    forward = Forward(members, [places[_kind(member.recipe)] for member in members], config, computing)
    if config.uncertainty != "none" and forward.predictions == 1:
        message = "uncertainty needs several predictions per pixel; add --variants flips or d4, or --ensemble RUN"
        raise InputError(message)
    sources = [scene_source(scene, recipe) for recipe in recipes.values()]
    return Prepared(Prediction(forward, sources, config), tuple(members), scene)


def _kind(recipe: Recipe) -> str:
    """Tell recipes apart by what their layers depend on; statistics differ from member to member."""
    content = recipe.to_dict()
    to = content["statistics"] if recipe.matched else None
    return json.dumps([content["layers"], content["objects"], recipe.scaling, to], sort_keys=True)
